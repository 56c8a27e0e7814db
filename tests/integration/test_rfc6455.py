"""RFC 6455, clause by clause, against evhub-wsd: what the server must take,
what it must refuse, and with which code.

Each case is a row: its section, the bytes that the client sends, and what has
to come of it:

  answers(...)   these frames come back, in this order, and the connection is
                 as good as new
  closes(code)   a close frame with this code, then the end of the connection
  deviates(...)  what libwebsockets 4.1 does against the RFC and we cannot
                 mend from the outside, with the reason; the test holds us to
                 exactly that, so that the row is looked at again with the next
                 version of the library
"""

import json

import pytest

import rawws
from clients import subscribe
from hub import Hub
from rawws import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, close_payload, frame

PING_MESSAGE = '{"event_type":"health","message":"ping"}'
MAX = 4096  # max_message_bytes


def answers(*frames):
    return ("answers", frames)


def closes(code, *before):
    """code None: an empty close frame."""
    return ("closes", before, code)


def deviates(reason, outcome):
    assert reason
    return outcome


def is_pong(data):
    return json.loads(data)["message"] == "pong"


def is_error(data):
    return json.loads(data)["message"] == "error"


def is_ref(ref):
    return lambda data: json.loads(data)["ref_id"] == ref


A_PONG = (TEXT, is_pong)
AN_ERROR = (TEXT, is_error)


def message(size):
    """A ping message of this many bytes."""
    text = json.dumps({"event_type": "health", "message": "ping", "pad": ""})
    return json.dumps({"event_type": "health", "message": "ping", "pad": "x" * (size - len(text))})


def fragments(data, *sizes, op=TEXT):
    """data in pieces of these sizes, the rest as the last one."""
    data = data.encode() if isinstance(data, str) else data
    out = b""
    for i, size in enumerate(sizes):
        out += frame(op if i == 0 else CONTINUATION, data[:size], fin=False)
        data = data[size:]
    return out + frame(CONTINUATION, data)


SNOW = json.dumps({"event_type": "health", "message": "ping", "id": "é☃😀"}, ensure_ascii=False).encode()
ONE_BYTE = [1] * (len(SNOW) - 1)

NOT_SEEN = "the library does not tell whether a frame was masked, nor how its length was written"
REWRITTEN = "the library takes 1012 to 1014, which IANA added later, for unknown before we see them"

CASES = [
    # ---- 5.1 and 5.3: masking
    ("5.1", "unmasked text", frame(TEXT, PING_MESSAGE, mask=None), deviates(NOT_SEEN, answers(A_PONG))),
    ("5.1", "unmasked ping", frame(PING, b"x", mask=None), deviates(NOT_SEEN, answers((PONG, b"x")))),
    ("5.3", "mask of zeros", frame(TEXT, PING_MESSAGE, mask=b"\0\0\0\0"), answers(A_PONG)),
    ("5.3", "mask with a zero", frame(TEXT, PING_MESSAGE, mask=b"\xff\0\x01\x80"), answers(A_PONG)),
    ("5.3", "masks differ from frame to frame",
     frame(TEXT, PING_MESSAGE[:9], fin=False, mask=b"abcd") + frame(CONTINUATION, PING_MESSAGE[9:], mask=b"\xfe\xed\0\1"),
     answers(A_PONG)),

    # ---- 5.2: the header
    *[("5.2", f"RSV{3 - bit} on text", frame(TEXT, PING_MESSAGE, rsv=1 << bit), closes(1002)) for bit in range(3)],
    ("5.2", "all RSV on an empty text", frame(TEXT, rsv=7), closes(1002)),
    ("5.2", "RSV1 on a continuation", frame(TEXT, "{", fin=False) + frame(CONTINUATION, "}", rsv=4), closes(1002)),
    ("5.2", "RSV1 on a ping", frame(PING, b"x", rsv=4), closes(1002)),
    ("5.2", "RSV2 on a close", frame(CLOSE, close_payload(1000), rsv=2), closes(1002)),
    *[("5.2", f"opcode {op:x}", frame(op, b"x"), closes(1002)) for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    ("5.2", "opcode 3 of a fragment", frame(3, b"x", fin=False), closes(1002)),
    *[("5.2", f"text of {n}", frame(TEXT, message(n)), answers(A_PONG)) for n in (124, 125, 126, 127, 128, MAX)],
    ("5.2", "16 bits for a short length", frame(TEXT, PING_MESSAGE, form=16), deviates(NOT_SEEN, answers(A_PONG))),
    ("5.2", "64 bits for a short length", frame(TEXT, PING_MESSAGE, form=64), deviates(NOT_SEEN, answers(A_PONG))),
    ("5.2", "64 bits for 126", frame(TEXT, message(126), form=64), deviates(NOT_SEEN, answers(A_PONG))),
    ("5.2", "16 bits for nothing", frame(TEXT, b"", form=16), deviates(NOT_SEEN, answers(AN_ERROR))),
    ("5.2", "64 bits for nothing", frame(TEXT, b"", form=64), deviates(NOT_SEEN, answers(AN_ERROR))),
    ("5.2", "the top bit of a 64-bit length", frame(TEXT, b"x" * 8, form=64, length=1 << 63), closes(1002)),
    ("5.2", "a length of 2^64 - 1", frame(TEXT, b"x" * 8, form=64, length=(1 << 64) - 1), closes(1002)),
    ("5.2", "a length of 2^63 - 1", frame(TEXT, b"x" * 8, form=64, length=(1 << 63) - 1), closes(1009)),
    ("5.2", "a length of 2^32 and some", frame(TEXT, b"x" * 8, form=64, length=(1 << 32) + 8), closes(1009)),
    ("5.2", "65535 bytes announced", frame(TEXT, b"x" * 8, length=65535), closes(1009)),
    ("5.2", "65536 bytes", frame(TEXT, b"x" * 65536), closes(1009)),

    # ---- 5.4: fragments
    ("5.4", "two fragments", fragments(PING_MESSAGE, 10), answers(A_PONG)),
    ("5.4", "fragments of one byte", fragments(PING_MESSAGE, *[1] * 39), answers(A_PONG)),
    ("5.4", "empty fragments around", fragments(PING_MESSAGE, 0, 0, 10, 0, 30, 0), answers(A_PONG)),
    ("5.4", "an empty first fragment", fragments(PING_MESSAGE, 0), answers(A_PONG)),
    ("5.4", "an empty last fragment", fragments(PING_MESSAGE, 40), answers(A_PONG)),
    ("5.4", "nothing but empty fragments", fragments("", 0, 0, 0), answers(AN_ERROR)),
    ("5.4", "a thousand empty fragments", fragments(PING_MESSAGE, *[0] * 1000), answers(A_PONG)),
    ("5.4", "an empty message", frame(TEXT), answers(AN_ERROR)),
    ("5.4", "two messages of two fragments", fragments(PING_MESSAGE, 7) + fragments(PING_MESSAGE, 20),
     answers(A_PONG, A_PONG)),
    ("5.4", "a ping between fragments",
     frame(TEXT, PING_MESSAGE[:5], fin=False) + frame(PING, b"in") + frame(CONTINUATION, PING_MESSAGE[5:]),
     answers((PONG, b"in"), A_PONG)),
    ("5.4", "a pong between fragments",
     frame(TEXT, PING_MESSAGE[:5], fin=False) + frame(PONG, b"in") + frame(PONG) + frame(CONTINUATION, PING_MESSAGE[5:]),
     answers(A_PONG)),
    ("5.4", "a close between fragments", frame(TEXT, b"{", fin=False) + frame(CLOSE, close_payload(1000)), closes(1000)),
    ("5.4", "a continuation of nothing", frame(CONTINUATION, PING_MESSAGE), closes(1002)),
    ("5.4", "an unfinished continuation of nothing", frame(CONTINUATION, b"x", fin=False), closes(1002)),
    ("5.4", "an empty continuation of nothing", frame(CONTINUATION), closes(1002)),
    ("5.4", "a continuation of what was finished", frame(TEXT, PING_MESSAGE) + frame(CONTINUATION, b"x"),
     closes(1002, A_PONG)),
    ("5.4", "a continuation after the last", fragments(PING_MESSAGE, 5) + frame(CONTINUATION, b"x"), closes(1002, A_PONG)),
    ("5.4", "a text inside a fragmented text", frame(TEXT, b"{", fin=False) + frame(TEXT, PING_MESSAGE), closes(1002)),
    ("5.4", "a first fragment inside a fragmented text", frame(TEXT, b"{", fin=False) + frame(TEXT, b"}", fin=False),
     closes(1002)),
    ("5.4", "a binary inside a fragmented text", frame(TEXT, b"{", fin=False) + frame(BINARY, b"x"), closes(1002)),
    ("5.4", "fragments over the limit", fragments(b"x" * (MAX + 1), 2000, 2000), closes(1009)),
    ("5.4", "fragments that will be over the limit",
     frame(TEXT, b"x" * 2000, fin=False) + frame(CONTINUATION, b"x" * 8, length=MAX), closes(1009)),

    # ---- 5.5: control frames
    *[("5.5", f"a fragmented {name}", frame(op, b"", fin=False), closes(1002))
      for op, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close"))],
    *[("5.5", f"a {name} of {n}", frame(op, b"x" * n), closes(1002))
      for op, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")) for n in (126, 65536)],
    ("5.5", "a ping with its length in 16 bits", frame(PING, b"xx", form=16), closes(1002)),
    ("5.5", "a pong with its length in 64 bits", frame(PONG, b"", form=64), closes(1002)),
    *[("5.5.2", f"a ping of {n}", frame(PING, bytes(range(n))), answers((PONG, bytes(range(n))))) for n in (0, 1, 124, 125)],
    ("5.5.3", "pongs that nobody asked for", frame(PONG) + frame(PONG, b"x" * 125) + frame(TEXT, PING_MESSAGE),
     answers(A_PONG)),

    # ---- 5.5.1 and 7: closing
    ("5.5.1", "a close without a code", frame(CLOSE), closes(None)),
    *[("5.5.1", f"close {code}", frame(CLOSE, close_payload(code)), closes(code))
      for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)],
    ("5.5.1", "close with a reason", frame(CLOSE, close_payload(1000, "bye é☃".encode())), closes(1000)),
    ("5.5.1", "close with the longest reason", frame(CLOSE, close_payload(4000, b"x" * 123)), closes(4000)),
    ("5.5.1", "a close of one byte", frame(CLOSE, b"\x03"), closes(1002)),
    *[("7.4", f"close {code}", frame(CLOSE, close_payload(code)), closes(1002))
      for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
    *[("7.4", f"close {code}", frame(CLOSE, close_payload(code)), deviates(REWRITTEN, closes(1002)))
      for code in (1012, 1013, 1014)],
    ("5.5.1", "a reason that is no UTF-8", frame(CLOSE, close_payload(1000, b"\xff\xfe")), closes(1007)),
    ("5.5.1", "a reason that ends in the middle", frame(CLOSE, close_payload(1000, b"abc\xe2\x98")), closes(1007)),
    ("5.5.1", "a message behind a close", frame(CLOSE, close_payload(1000)) + frame(TEXT, PING_MESSAGE), closes(1000)),
    ("5.5.1", "a message before a close", frame(TEXT, PING_MESSAGE) + frame(CLOSE, close_payload(1000)),
     closes(1000, A_PONG)),
    ("5.5.1", "a second close", frame(CLOSE, close_payload(1000)) + frame(CLOSE, close_payload(1001)), closes(1000)),
    ("5.5.1", "a ping behind a close", frame(CLOSE, close_payload(4001)) + frame(PING, b"x"), closes(4001)),
    ("5.5.1", "garbage behind a close", frame(CLOSE, close_payload(1000)) + b"\xff" * 500, closes(1000)),

    # ---- 5.6: data frames
    ("5.6", "binary", frame(BINARY, PING_MESSAGE), closes(1003)),
    ("5.6", "binary, empty", frame(BINARY), closes(1003)),
    ("5.6", "binary in fragments", fragments(PING_MESSAGE, 4, op=BINARY), closes(1003)),
    ("5.6", "many messages in one piece", frame(TEXT, PING_MESSAGE) * 20, answers(*[A_PONG] * 20)),

    # ---- 8.1: UTF-8 (RFC 3629)
    ("8.1", "text beyond ASCII", frame(TEXT, SNOW), answers((TEXT, is_ref("é☃😀")))),
    ("8.1", "characters split over fragments", fragments(SNOW, *ONE_BYTE), answers((TEXT, is_ref("é☃😀")))),
    *[("8.1", f"invalid UTF-8: {name}", frame(TEXT, b'{"id":"' + data + b'"}'), closes(1007)) for name, data in (
        ("a byte that is none", b"\xff"), ("a lone continuation", b"\x80"), ("cut", b"\xe2\x98"),
        ("overlong slash", b"\xc0\xaf"), ("overlong NUL", b"\xc0\x80"), ("overlong in three", b"\xe0\x80\xaf"),
        ("overlong in four", b"\xf0\x80\x80\xaf"), ("high surrogate", b"\xed\xa0\x80"),
        ("low surrogate", b"\xed\xbf\xbf"), ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("above U+10FFFF", b"\xf4\x90\x80\x80"), ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("six bytes", b"\xfc\x84\x80\x80\x80\x80"))],
    ("8.1", "the border of UTF-8", frame(TEXT, b'{"id":"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf","event_type":"health","message":"ping"}'),
     answers((TEXT, is_ref("\U0010ffff\ud7ff\ue000\uffff")))),
    ("8.1", "a message that ends in the middle", frame(TEXT, b"abc\xe2\x98"), closes(1007)),
    ("8.1", "invalid in the second fragment", fragments(b"abc\xffdef", 3), closes(1007)),
    ("8.1", "invalid across fragments", fragments(b"\xe2\x28\xa1", 1, 1), closes(1007)),
    ("8.1", "invalid, not JSON either", frame(TEXT, b"\xc3\x28"), closes(1007)),
]


@pytest.fixture(scope="module", params=["uv", "ev", "poll"])
def place(request):
    """A hub on each event loop, a credential, and somebody who watches."""
    hub = Hub(event_loop=request.param, max_messages_per_second=50000)
    try:
        hub.start_wsd()
        who = hub.credential()
        other = subscribe(hub.wsd.listen, who)
        yield hub, who, other
        other.close()
    except BaseException:
        hub.abandon()
        raise
    hub.stop()


def check_frames(got, wanted):
    assert len(got) == len(wanted), (got, wanted)
    for (op, data), (wanted_op, check) in zip(got, wanted):
        assert op == wanted_op, (op, data)
        assert check(data) if callable(check) else data == check, data


def check_answers(peer, wanted):
    """Pongs and answers to messages may overtake each other; each kind is in
    order.  A message and a ping of our own show that nothing else comes."""
    pongs = [f for f in wanted if f[0] == PONG]
    got = []
    while len([f for f in got if f[0] == PONG]) < len(pongs):
        got.append(peer.read())
        assert got[-1] is not None, f"the end of the connection after {got}"
    peer.send(frame(PING, b"the end") + frame(TEXT, '{"event_type":"health","message":"ping","id":"the end"}'))
    ends = 0
    while ends < 2:
        f = peer.read()
        assert f is not None, f"the end of the connection after {got}"
        if f == (PONG, b"the end") or f[0] == TEXT and json.loads(f[1]).get("ref_id") == "the end":
            ends += 1
        else:
            got.append(f)
    for kind in (TEXT, PONG):
        check_frames([f for f in got if f[0] == kind], [f for f in wanted if f[0] == kind])
    assert all(f[0] in (TEXT, PONG) for f in got), got
    peer.send(frame(CLOSE, close_payload(1000)))
    check_frames(peer.rest(), [(CLOSE, close_payload(1000))])


def check_close(peer, before, code):
    frames = peer.rest()
    assert frames and frames[-1][0] == CLOSE, f"no close frame: {frames}"
    check_frames(frames[:-1], before)
    data = frames[-1][1]
    if code is None:
        assert data == b""
    else:
        assert data[:2] == close_payload(code), data
        data[2:].decode()


@pytest.mark.parametrize("section, name, sent, outcome", CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_rfc6455(place, section, name, sent, outcome):
    hub, who, other = place
    with Peer(hub, who) as peer:
        try:
            peer.send(sent)
        except ConnectionError:
            pass  # refused before all of it was out
        if outcome[0] == "answers":
            check_answers(peer, outcome[1])
        else:
            check_close(peer, *outcome[1:])
        hub.wait_sql(f"SELECT count(*) FROM client WHERE id = '{peer.client_id}'", 0)
        other.nothing()


@pytest.mark.parametrize("case", [c for c in CASES if len(c[2]) < 200][::4], ids=lambda c: f"{c[0]} {c[1]}")
def test_byte_by_byte(place, case):
    """The same, when each byte comes alone."""
    hub, who, other = place
    _, _, sent, outcome = case
    with Peer(hub, who) as peer:
        try:
            for i in range(len(sent)):
                peer.send(sent[i:i + 1])
        except ConnectionError:
            pass
        if outcome[0] == "answers":
            check_answers(peer, outcome[1])
        else:
            check_close(peer, *outcome[1:])
    other.nothing()


def test_the_server_ends_the_connection_first(place):
    """Section 7.1.1: whoever is the server closes the TCP connection."""
    hub, who, _ = place
    with Peer(hub, who) as peer:
        peer.send(frame(CLOSE, close_payload(1000)))
        assert peer.rest(answer=False) == [(CLOSE, close_payload(1000))]
        assert peer.sock.recv(1) == b""


def test_a_close_of_ours_waits_for_theirs(place):
    """Section 7.1.2: after a close frame of the server the client may still
    send, which is not looked at, until its own."""
    hub, who, other = place
    with Peer(hub, who) as peer:
        peer.send(frame(BINARY, b"x"))
        op, data = peer.read()
        assert op == CLOSE and data[:2] == close_payload(1003)
        peer.send(frame(TEXT, PING_MESSAGE) + frame(PING, b"") + frame(CLOSE, close_payload(1003)))
        assert [f for f in peer.rest(answer=False) if f[0] != PONG] == []
    other.nothing()


def test_pings_in_one_piece(place):
    """Section 5.5.3: each ping is answered, or the last of them.  A deviation:
    the library forgets those that it reads before it has sent the pong of the
    first.  Who waits for a pong before the next ping, as all do, is served."""
    hub, who, other = place
    with Peer(hub, who) as peer:
        peer.send(frame(PING, b"1") + frame(PING, b"2") + frame(PING, b"3") + frame(TEXT, PING_MESSAGE))
        got = [peer.read(), peer.read()]
        assert (PONG, b"1") in got and got[0] is not None and got[1] is not None, got
        peer.send(frame(CLOSE))
        assert all(f in ((PONG, b"2"), (PONG, b"3"), (CLOSE, b"")) for f in peer.rest())
    other.nothing()


def test_frames_behind_the_handshake(place):
    """Frames in one piece with the handshake are the first frames."""
    hub, who, other = place
    with Peer(hub, who, behind=frame(TEXT, PING_MESSAGE) + frame(PING, b"early")) as peer:
        check_answers(peer, (A_PONG, (PONG, b"early")))
    with Peer(hub, who, behind=fragments(PING_MESSAGE, 3)[:20]) as peer:
        peer.send(fragments(PING_MESSAGE, 3)[20:])
        check_answers(peer, (A_PONG,))
    other.nothing()


def test_close_behind_the_handshake(place):
    hub, who, other = place
    head = rawws.handshake(hub, who)
    for sent, code in ((frame(CLOSE, close_payload(1000)), 1000), (frame(3, b"x"), 1002), (frame(BINARY, b"x"), 1003)):
        with Peer(hub, who, head=head, behind=sent, welcome=False) as peer:
            assert b" 101 " in peer.stream.readline()
            while peer.stream.readline().strip():
                pass
            frames = peer.rest()
            assert frames and frames[-1][0] == CLOSE and frames[-1][1][:2] == close_payload(code), frames
    hub.wait_sql("SELECT count(*) FROM client", 1)
    other.nothing()
