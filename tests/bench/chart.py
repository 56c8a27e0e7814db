"""A bar chart as SVG text, logarithmic, for light and dark pages."""

import math
from html import escape

LEFT, WIDTH, STEP, TOP = 250, 560, 26, 56


def ticks(low, high):
    exponent = math.floor(math.log10(low))
    while 10 ** exponent <= high:
        yield 10 ** exponent
        exponent += 1


def short(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            text = "%.3g" % (value / limit)
            return text + unit if "e" not in text else "%.0f%s" % (value / limit, unit)
    return "%.3g" % value


def bars(title, rows):
    """rows: (label, value, ours)."""
    rows = sorted(rows, key=lambda row: -row[1])
    height = TOP + STEP * len(rows) + 12
    top = max((v for _, v, _ in rows), default=1)
    low = 10 ** math.floor(math.log10(min((v for _, v, _ in rows), default=1)))
    span = math.log10(top / low) or 1

    def x(value):
        return LEFT + WIDTH * max(math.log10(value / low), 0) / span

    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'role="img" font-family="sans-serif" font-size="13">'
           % (LEFT + WIDTH + 70, height, LEFT + WIDTH + 70, height),
           "<title>%s</title>" % escape(title),
           '<style>text{fill:#24292f}.g{stroke:#8888;stroke-dasharray:2 3}.b{fill:#8c959f}.o{fill:#1a7f37}'
           '@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>',
           '<text x="8" y="20" font-size="15" font-weight="bold">%s</text>' % escape(title)]
    for t in ticks(low, top):
        out.append('<line class="g" x1="%.1f" x2="%.1f" y1="44" y2="%d"/>' % (x(t), x(t), height - 8))
        out.append('<text x="%.1f" y="40" text-anchor="middle" font-size="11">%s</text>' % (x(t), short(t)))
    for i, (label, value, ours) in enumerate(rows):
        y = TOP + STEP * i
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 14, escape(label)))
        out.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="18" rx="2"/>'
                   % ("o" if ours else "b", LEFT, y, max(x(value) - LEFT, 2)))
        out.append('<text x="%.1f" y="%d">%s</text>' % (x(value) + 6, y + 14, short(value)))
    return "\n".join(out + ["</svg>"]) + "\n"
