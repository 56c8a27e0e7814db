/* chart.js - how many events of each type came in each of the last seconds, and
 * a picture of it: one stacked column a second. */

const SECONDS = 120;
const COLOURS = 12;

/* The smallest of 1, 2, 5, 10, 20, 50 … that is not below n. */
function nice(n) {
	const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
	return [1, 2, 5, 10].map((x) => x * power).find((x) => x >= n);
}

export class Chart {
	#canvas;
	#counts = new Map(); /* type -> count of each second, the present one last */
	#colours = new Map();

	constructor(canvas) {
		this.#canvas = canvas;
		new ResizeObserver(() => this.draw()).observe(canvas);
	}

	/* The number of the type's colour: data-color, and --cN in the style. */
	colour(type) {
		if (!this.#colours.has(type)) this.#colours.set(type, this.#colours.size % COLOURS);
		return this.#colours.get(type);
	}

	add(type) {
		let counts = this.#counts.get(type);
		if (!counts) this.#counts.set(type, (counts = new Array(SECONDS).fill(0)));
		counts[SECONDS - 1]++;
	}

	/* Events of the type, or of all, in the last whole second. */
	rate(type) {
		if (type !== undefined) return this.#counts.get(type)?.[SECONDS - 2] ?? 0;
		let sum = 0;
		for (const counts of this.#counts.values()) sum += counts[SECONDS - 2];
		return sum;
	}

	/* A second has gone. */
	tick() {
		for (const [type, counts] of this.#counts) {
			counts.shift();
			counts.push(0);
			if (counts.every((n) => n == 0)) this.#counts.delete(type);
		}
		this.draw();
	}

	clear() {
		this.#counts.clear();
		this.draw();
	}

	draw() {
		const canvas = this.#canvas, width = canvas.clientWidth, height = canvas.clientHeight;
		if (!width) return; /* not shown */
		const scale = window.devicePixelRatio || 1;
		canvas.width = width * scale;
		canvas.height = height * scale;
		const c = canvas.getContext("2d");
		c.scale(scale, scale);
		const style = getComputedStyle(document.documentElement);
		const colour = (name) => style.getPropertyValue(name).trim();

		const sums = new Array(SECONDS).fill(0);
		for (const counts of this.#counts.values()) counts.forEach((n, i) => (sums[i] += n));
		const top = nice(Math.max(...sums)), left = 0, right = 40, floor = height - 8, room = floor - 8;
		c.font = "11px " + colour("--sans");
		c.textBaseline = "middle";
		for (const share of [0, 0.5, 1]) {
			if (share * top != Math.round(share * top)) continue;
			const y = Math.round(floor - share * room) + 0.5;
			c.strokeStyle = colour("--line");
			c.beginPath();
			c.moveTo(left, y);
			c.lineTo(width - right + 4, y);
			c.stroke();
			c.fillStyle = colour("--soft");
			c.fillText((share * top).toLocaleString(), width - right + 10, y);
		}
		const step = (width - left - right) / SECONDS, bar = Math.max(step - 1, step * 0.75);
		const heights = new Array(SECONDS).fill(0);
		for (const [type, counts] of this.#counts) {
			c.fillStyle = colour("--c" + this.colour(type));
			counts.forEach((n, i) => {
				if (!n) return;
				const h = Math.max((n / top) * room, 1.5);
				c.fillRect(left + i * step, floor - heights[i] - h, bar, h);
				heights[i] += h;
			});
		}
	}
}
