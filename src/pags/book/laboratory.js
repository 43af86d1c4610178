// The laboratory of a page: a stroke digit, a small network and the tangent space, computed where they are looked at.
//
// Axes: d = size * size pixels, k latents, s points along the pen's path, c classes. An image, a gradient and a
// direction are Float64Arrays of d numbers. `data` is what laboratory.py has written. The formulas are those of
// strokes.py, tangent.py and attack.py; tests/book/test_laboratory.py holds every number here against theirs.

const RTOL = 1e-4; // singular values below RTOL times the largest count as zero, as in tangent.py
const REACH = 7; // a pen that is so many widths away leaves less than 1e-10 of its ink

// Numbers

const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };
const norm = (a) => Math.sqrt(dot(a, a));
const scaled = (a, factor) => a.map((v) => v * factor);
const plus = (a, b, factor = 1) => a.map((v, i) => v + factor * b[i]);
const largest = (a) => a.reduce((best, v, i) => (v > a[best] ? i : best), 0);
const clip = (v, low, high) => Math.min(high, Math.max(low, v));

// The image of a pen at the points x, y (s) in pixels, and its change by each of `moves`: {x, y} how the points move, q
// the relative change of the width. `starts` (s) says which points begin a stroke.
function draw(x, y, starts, width, size, moves = []) {
  const s = x.length, length = new Float64Array(s), longer = moves.map(() => new Float64Array(s));
  for (let i = 0; i + 1 < s; i++) {
    if (starts[i + 1]) continue;
    const a = x[i + 1] - x[i], b = y[i + 1] - y[i], piece = Math.sqrt(a * a + b * b + 1e-12);
    length[i] += piece / 2;
    length[i + 1] += piece / 2;
    moves.forEach((move, j) => {
      const change = (a * (move.x[i + 1] - move.x[i]) + b * (move.y[i + 1] - move.y[i])) / piece / 2;
      longer[j][i] += change;
      longer[j][i + 1] += change;
    });
  }
  const image = new Float64Array(size * size), column = new Float64Array(size);
  const changes = moves.map(() => new Float64Array(size * size));
  for (let i = 0; i < s; i++) {
    const ink = 2 * length[i] / width;
    const [left, top] = [x[i], y[i]].map((at) => clip(Math.ceil(at - REACH * width), 0, size));
    const [right, bottom] = [x[i], y[i]].map((at) => clip(Math.floor(at + REACH * width) + 1, 0, size));
    for (let c = left; c < right; c++) column[c] = Math.exp(-0.5 * ((c - x[i]) / width) ** 2);
    for (let r = top; r < bottom; r++) {
      const z = (r - y[i]) / width, row = Math.exp(-0.5 * z * z);
      for (let c = left; c < right; c++) image[r * size + c] += row * column[c] * ink;
      moves.forEach((move, j) => {
        const change = changes[j], sideways = move.x[i] / width, q = move.q;
        const rest = ink * z * (move.y[i] / width + z * q) + 2 * longer[j][i] / width - ink * q;
        for (let c = left; c < right; c++) {
          const t = (c - x[i]) / width;
          change[r * size + c] += row * column[c] * (ink * t * (sideways + t * q) + rest);
        }
      });
    }
  }
  for (let i = 0; i < image.length; i++) {
    const left = Math.exp(-image[i]);
    for (const change of changes) change[i] *= left;
    image[i] = 1 - left;
  }
  return { image, changes };
}

// A digit at the latents u (k): its image and the k columns of the renderer's Jacobian.
function digit(data, which, u) {
  const { size, spread, paths } = data, path = paths[which], s = path.x.length, k = u.length;
  const a = u.map((v, j) => v * spread[j]), high = 0.62 * size, scale = high * Math.exp(a[6]);
  const cos = Math.cos(a[4]), sin = Math.sin(a[4]);
  const x = new Float64Array(s), y = new Float64Array(s);
  const moves = spread.map((_, j) => ({ x: new Float64Array(s), y: new Float64Array(s), q: j === 9 ? spread[9] : 0 }));
  for (let i = 0; i < s; i++) {
    const p = path.x[i], q = path.y[i], turn = 2 * Math.PI;
    const bentX = [Math.cos(turn * q), 0, 4 * p * (0.25 - q * q), Math.sin(turn * q)];
    const bentY = [0, Math.cos(turn * p), 0, Math.sin(turn * p)];
    const down = q + dot(bentY, a), aside = p + dot(bentX, a) - a[5] * down;
    const across = scale * (cos * aside - sin * down), along = scale * (sin * aside + cos * down);
    x[i] = across + high * a[7] + 0.5 * (size - 1);
    y[i] = along + high * a[8] + 0.5 * (size - 1);
    for (let j = 0; j < k; j++) {
      const dy = j < 4 ? bentY[j] : 0, dx = j < 4 ? bentX[j] - a[5] * dy : j === 5 ? -down : 0;
      let mx = scale * (cos * dx - sin * dy), my = scale * (sin * dx + cos * dy);
      if (j === 4) [mx, my] = [-along, across];
      if (j === 6) [mx, my] = [across, along];
      if (j === 7) mx = high;
      if (j === 8) my = high;
      moves[j].x[i] = spread[j] * mx;
      moves[j].y[i] = spread[j] * my;
    }
  }
  return draw(x, y, path.starts, 0.026 * size * Math.exp(a[9]), size, moves);
}

// An orthonormal basis of the span of these columns, strongest direction first: a singular value decomposition by
// one-sided Jacobi rotations.
function orthonormal(columns) {
  const v = columns.map((column) => Float64Array.from(column));
  for (let sweep = 0, off = 1; sweep < 40 && off > 1e-9; sweep++) {
    off = 0;
    for (let p = 0; p < v.length; p++) {
      for (let q = p + 1; q < v.length; q++) {
        const a = dot(v[p], v[p]), b = dot(v[q], v[q]), c = dot(v[p], v[q]);
        if (c === 0) continue;
        off = Math.max(off, Math.abs(c) / Math.sqrt(a * b));
        const zeta = (b - a) / (2 * c), t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cos = 1 / Math.sqrt(1 + t * t), sin = cos * t;
        const vp = v[p], vq = v[q];
        for (let i = 0; i < vp.length; i++) {
          const before = vp[i];
          vp[i] = cos * before - sin * vq[i];
          vq[i] = sin * before + cos * vq[i];
        }
      }
    }
  }
  const long = v.map((column) => [norm(column), column]).sort((a, b) => b[0] - a[0]);
  return long.filter(([length]) => length > RTOL * long[0][0]).map(([length, column]) => scaled(column, 1 / length));
}

const within = (basis, v) =>
  basis.reduce((sum, direction) => plus(sum, direction, dot(direction, v)), new Float64Array(v.length));

// Half precision to a number.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// The layers of a network, [{weight (out * in), bias (out)}], from base64.
function layers(widths, base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), view = new DataView(bytes.buffer);
  let at = 0;
  const take = (n) => Float32Array.from({ length: n }, () => half(view.getUint16(2 * at++, true)));
  return widths.slice(1).map((out, i) => ({ weight: take(out * widths[i]), bias: take(out) }));
}

// What comes out of each layer, the logits (c) last; rectified but for those.
function forward(net, x) {
  const outputs = [];
  for (const [i, { weight, bias }] of net.entries()) {
    const input = outputs.at(-1) ?? x, n = input.length, out = Float64Array.from(bias);
    for (let o = 0, at = 0; o < out.length; o++) {
      let sum = 0;
      for (let j = 0; j < n; j++, at++) sum += weight[at] * input[j];
      out[o] += sum;
    }
    outputs.push(i + 1 < net.length ? out.map((v) => Math.max(v, 0)) : out);
  }
  return outputs;
}

// The gradient (d) with respect to the image of the sum of the logits weighted by `seed` (c).
function backward(net, outputs, seed) {
  let slope = seed;
  for (let i = net.length - 1; i >= 0; i--) {
    const { weight } = net[i], n = weight.length / slope.length, before = new Float64Array(n);
    for (let o = 0, at = 0; o < slope.length; o++) {
      for (let j = 0; j < n; j++, at++) before[j] += weight[at] * slope[o];
    }
    slope = i > 0 ? before.map((v, j) => (outputs[i - 1][j] > 0 ? v : 0)) : before;
  }
  return slope;
}

function softmax(logits) {
  const top = Math.max(...logits), powers = logits.map((v) => Math.exp(v - top));
  return scaled(powers, 1 / powers.reduce((a, b) => a + b));
}

// Logits, the gradient of one of them (`target`, or the largest), and, where there is a basis, its two parts.
function explain(net, x, basis, target = null) {
  const outputs = forward(net, x), logits = outputs.at(-1), explained = target ?? largest(logits);
  const gradient = backward(net, outputs, logits.map((_, c) => Number(c === explained)));
  const found = { logits, probabilities: softmax(logits), explained, gradient, length: norm(gradient) };
  if (!basis) return found;
  const tangent = within(basis, gradient);
  return { ...found, tangent, orthogonal: plus(gradient, tangent, -1), fraction: norm(tangent) / found.length };
}

// The perturbation after one step of projected gradient ascent on the cross-entropy of `label`, at most eps long.
function step(net, x, delta, label, eps, length) {
  const outputs = forward(net, plus(x, delta)), odds = softmax(outputs.at(-1));
  const slope = backward(net, outputs, odds.map((p, c) => p - Number(c === label)));
  const moved = plus(delta, slope, length / (norm(slope) || 1)), long = norm(moved);
  return long > eps ? scaled(moved, eps / long) : moved;
}

// One draw of noise (d), split into its parts along the basis and across it, each of length one.
function directions(basis, noise) {
  const on = within(basis, noise), off = plus(noise, on, -1);
  return { along: scaled(on, 1 / norm(on)), across: scaled(off, 1 / norm(off)) };
}

// Standard normal numbers from a seed (mulberry32, Box and Muller).
function normal(seed, n) {
  let a = seed;
  const uniform = () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const one = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Float64Array.from({ length: n }, one);
}

// The solution of a small system by elimination; A is positive definite.
function solve(A, b) {
  const rows = A.map((row, i) => [...row, b[i]]), n = rows.length;
  for (let p = 0; p < n; p++) {
    for (let r = p + 1; r < n; r++) {
      const factor = rows[r][p] / rows[p][p];
      for (let c = p; c <= n; c++) rows[r][c] -= factor * rows[p][c];
    }
  }
  const found = new Array(n);
  for (let p = n - 1; p >= 0; p--) {
    let rest = rows[p][n];
    for (let c = p + 1; c < n; c++) rest -= rows[p][c] * found[c];
    found[p] = rest / rows[p][p];
  }
  return found;
}

// The stroke digit nearest to an image: least |G(u) - x|^2 + sigma^2 |u|^2 over digits and latents, from each digit in
// the middle of the image's ink, by Levenberg and Marquardt's method.
function nearest(data, x, sigma = 0.1) {
  const { size, spread } = data;
  const middle = (image) => {
    const mass = image.reduce((a, b) => a + b);
    const at = [0, 0];
    image.forEach((v, i) => { at[0] += v * (i % size) / mass; at[1] += v * Math.floor(i / size) / mass; });
    return at;
  };
  const place = (which, u) => {
    const { image, changes } = digit(data, which, u), miss = plus(x, image, -1);
    return { which, u, image, changes, miss, cost: dot(miss, miss) + sigma ** 2 * dot(u, u) };
  };
  const climb = (at, rounds) => {
    for (let round = 0, damp = at.damp ?? 1; round < rounds; round++) {
      const A = at.changes.map((a, i) => at.changes.map((b, j) => dot(a, b) + (i === j ? sigma ** 2 + damp : 0)));
      const b = at.changes.map((a, i) => dot(a, at.miss) - sigma ** 2 * at.u[i]);
      const next = place(at.which, plus(at.u, solve(A, b)).map((v) => clip(v, -4, 4)));
      damp *= next.cost < at.cost ? 0.3 : 4;
      at = { ...(next.cost < at.cost ? next : at), damp };
    }
    return at;
  };
  const started = data.paths.map((_, which) => {
    const u = spread.map(() => 0), [from, to] = [middle(digit(data, which, u).image), middle(x)];
    [7, 8].forEach((j, i) => { u[j] = clip((to[i] - from[i]) / (0.62 * size * spread[j]), -3, 3); });
    return climb(place(which, u), 6);
  });
  const best = started.sort((a, b) => a.cost - b.cost).slice(0, 2).map((at) => climb(at, 20));
  const { which, u, image, changes, miss } = best.sort((a, b) => a.cost - b.cost)[0];
  return { which, u, image, changes, distance: norm(miss) / norm(x) };
}

// The image of strokes [[[x, y], ...], ...] in pixels, drawn by the undeformed pen; a dot is a short dash.
function drawing(data, strokes) {
  const x = [], y = [], starts = [];
  for (const stroke of strokes) {
    const points = stroke.length > 1 ? stroke : [stroke[0], [stroke[0][0] + 0.5, stroke[0][1]]];
    points.forEach(([px, py], i) => {
      const [ox, oy] = points[Math.max(i - 1, 0)], pieces = Math.max(1, Math.ceil(2 * Math.hypot(px - ox, py - oy)));
      for (let n = i ? 1 : pieces; n <= pieces; n++) {
        x.push(ox + (px - ox) * n / pieces);
        y.push(oy + (py - oy) * n / pieces);
        starts.push(i === 0);
      }
    });
  }
  return draw(x, y, starts, 0.026 * data.size, data.size).image;
}

// What is seen

const element = (tag, attributes = {}, ...inside) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside);
  return made;
};

// The colour of a signed number in [-1, 1], between the book's colours from negative to positive.
function signed(colours, v) {
  const at = (clip(v, -1, 1) + 1) / 2 * (colours.length - 1), i = Math.min(Math.floor(at), colours.length - 2);
  return colours[i].map((low, c) => low + (at - i) * (colours[i + 1][c] - low));
}

function paint(canvas, values, colour) {
  const context = canvas.getContext("2d"), pixels = context.createImageData(canvas.width, canvas.height);
  values?.forEach((v, i) => pixels.data.set([...colour(v), 255], 4 * i)); // none: nothing is seen
  context.putImageData(pixels, 0, 0);
}

const grey = (v) => { const level = 255 * clip(v, 0, 1); return [level, level, level]; };

function start(root, data) {
  const { size, latents, chance } = data, d = size * size;
  const nets = data.nets.map((net) => ({ ...net, layers: layers(net.widths, net.weights) }));
  const state = {
    ...{ net: 0, hand: "move", digit: data.start, u: latents.map(() => 0), strokes: [], target: null },
    ...{ along: 0, across: 0, seed: 1 }, // noise, in percent
    // the attack so far: `before` is what the network said when it began
    ...{ eps: data.eps, delta: new Float64Array(d), label: null, before: null, steps: 0 },
    ...{ clean: null, basis: null, near: null }, // what `place` finds
  };
  let waiting = false, timer = null, spoken = null;

  // Parts of the page: each knows how to show the state

  let names = 0;
  const slider = (label, low, high, by, unit, get, set) => {
    const id = `${root.id}-${names++}`, output = element("output", { for: id, "aria-live": "off" });
    const act = () => { set(Number(input.value)); change(); };
    const input = element("input", { type: "range", id, min: low, max: high, step: by, oninput: act });
    const show = () => {
      input.value = get();
      output.textContent = `${get().toFixed(by < 1 ? 1 : 0).replace("-", "−")}${unit}`;
      input.setAttribute("aria-valuetext", output.textContent);
    };
    return { nodes: [element("label", { for: id }, label), input, output], show, input };
  };
  const choice = (legend, options, get, set) => {
    const name = `${root.id}-${names++}`;
    const inputs = options.map(([value]) => {
      const act = () => { set(value); change(); };
      return element("input", { type: "radio", name, value, id: `${name}-${value}`, onchange: act });
    });
    const labels = options.map(([, text], i) => element("label", { for: inputs[i].id }, text));
    const row = element("div", { class: "line" }, ...inputs.flatMap((input, i) => [input, labels[i]]));
    const show = () => inputs.forEach((input, i) => { input.checked = options[i][0] === get(); });
    return { node: element("fieldset", { class: "choice" }, element("legend", {}, legend), row), show };
  };
  const button = (text, act) =>
    element("button", { type: "button", onclick: () => { act(); change(); } }, text);
  const group = (legend, ...inside) => element("fieldset", {}, element("legend", {}, legend), ...inside);
  const named = (text) => element("p", { class: "name" }, text);
  const panel = (title) => {
    const canvas = element("canvas", { width: size, height: size, role: "img" }), says = element("p");
    const show = (values, colour, words, alternative = words) => {
      paint(canvas, values, colour);
      says.textContent = words;
      canvas.setAttribute("aria-label", `${title}: ${alternative}`);
    };
    return { node: element("div", { class: "panel" }, canvas, element("div", {}, named(title), says)), show };
  };

  // What a hand changes takes the attack back; `fresh` says that the image itself is another.
  const set = (values, fresh = false) => {
    clearTimeout(timer);
    const none = { delta: new Float64Array(d), label: null, before: null, steps: 0 };
    Object.assign(state, none, values, fresh ? { clean: null } : {});
  };
  const latent = (j, v) => { state.u[j] = v; set({}, true); };
  const other = () => {
    const u = [...normal(++state.seed + 1000, latents.length)];
    set({ u: u.map((v) => Math.round(10 * clip(v, -3, 3)) / 10) }, true);
  };
  const network = choice("Network", nets.map((net, i) => [i, net.name]), () => state.net, (net) => set({ net }));
  const hands = [["move", "a stroke digit"], ["draw", "a drawing of yours"]];
  const hand = choice("Image", hands, () => state.hand, (v) => set({ hand: v }, true));
  const digits = data.paths.map((_, i) => [i, String(i)]);
  const which = choice("Digit", digits, () => state.digit, (v) => set({ digit: v }, true));
  const sliders = latents.map((name, j) => slider(name, -3, 3, 0.1, " σ", () => state.u[j], (v) => latent(j, v)));
  const along = slider("along the manifold", 0, 60, 1, " %", () => state.along, (v) => set({ along: v }));
  const across = slider("across it", 0, 60, 1, " %", () => state.across, (v) => set({ across: v }));
  const budget = slider("budget ε, pixel units", ...data.budget, "", () => state.eps, (v) => set({ eps: v }));
  const panels = ["image", "gradient", "its tangent part", "its orthogonal part"].map(panel);
  const about = element("p", { class: "said" });

  const aim = () => { state.target = target.value === "" ? null : Number(target.value); change(); };
  const options = digits.map(([value, text]) => element("option", { value }, text));
  const target = element("select", { id: `${root.id}-target`, onchange: aim },
    element("option", { value: "" }, "the class it says"), ...options);
  const filled = element("span", { class: "filled" }), mark = element("span", { class: "chance" });
  const meter = element("div", { class: "meter", role: "img" }, filled, mark);
  const amount = element("p", { class: "name" }), said = element("p", { class: "said" });
  const share = element("div", { class: "share" }, meter, amount, said);

  const rows = digits.map(([c, text]) => {
    const bar = element("span"), number = element("td"), odds = element("td");
    const cells = [element("th", { scope: "row" }, text), element("td", { class: "track" }, bar), number, odds];
    return { c, bar, number, odds, node: element("tr", {}, ...cells) };
  });
  const head = ["class", "", "logit", "probability"].map((text) =>
    text ? element("th", { scope: "col" }, text) : element("td"));
  const logits = element("table", {}, element("caption", {}, "What it says"),
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows.map((row) => row.node)));

  const attack = () => {
    const net = nets[state.net].layers, x = noisy();
    state.before ??= largest(forward(net, x).at(-1));
    state.label ??= state.hand === "move" ? state.digit : state.before;
    state.delta = step(net, x, state.delta, state.label, state.eps, 2.5 * state.eps / data.steps);
    state.steps++;
  };
  const again = (left) => { // one by one, so that they can be watched
    if (left < 1) return;
    attack();
    change();
    timer = setTimeout(again, 200, left - 1);
  };
  const many = () => { clearTimeout(timer); again(data.steps); };
  const tools = element("div", { class: "line" }, button("one step", attack), button(`${data.steps} steps`, many),
    button("take it back", () => set({})));
  const fooled = element("p", { class: "said" });
  const trials = element("div", { class: "trials" },
    group("Noise, in % of the image’s length",
      element("div", { class: "sliders one" }, ...along.nodes, ...across.nodes),
      element("div", { class: "line" }, button("other noise", () => set({ seed: state.seed + 1 })))),
    group("What would fool it?", element("div", { class: "sliders one" }, ...budget.nodes), tools, fooled));

  const zero = () => set({ u: latents.map(() => 0) }, true);
  const moved = element("div", { class: "moved" },
    element("div", { class: "line apart" }, which.node,
      element("div", { class: "line" }, button("all to zero", zero), button("another one", other))),
    element("div", { class: "sliders" }, ...sliders.flatMap((one) => one.nodes)));

  const keys = "Drawing pad. Draw with mouse or finger. By keyboard: arrow keys move the pen, with Shift by four " +
    "pixels; space puts it down and lifts it; Backspace takes the last stroke back.";
  const doubt = "A drawing lies on no manifold of ours: nobody knows its tangent space. When you lift the pen, the " +
    "nearest stroke digit is looked for, and the gradient at your drawing is split by the tangent space there. Read " +
    "that fraction as a guess, the poorer the farther the two are apart.";
  const pad = element("canvas",
    { width: size, height: size, tabindex: 0, role: "application", class: "pad", "aria-label": keys });
  const ghost = panel("nearest stroke digit");
  const clear = () => set({ strokes: [] }, true), undo = () => set({ strokes: state.strokes.slice(0, -1) }, true);
  const drawn = element("div", { class: "drawn" },
    element("div", { class: "panel" }, pad, named("draw inside the frame"),
      element("p", {}, "there lie the digits that the networks know; mouse, finger; arrow keys, space")),
    ghost.node,
    element("div", {},
      element("div", { class: "line" }, button("start again", clear), button("last stroke back", undo)),
      element("p", { class: "said" }, doubt)));

  const status = element("p", { class: "visually-hidden", role: "status" });
  root.className = "pags-laboratory";
  root.replaceChildren(element("div", { class: "line apart" }, network.node, hand.node), about,
    element("div", { class: "panels" }, element("div", { class: "strip" }, panels[0].node, panels[1].node),
      element("div", { class: "strip parts" }, panels[2].node, panels[3].node)),
    element("div", { class: "line" }, element("label", { for: target.id }, "gradient of the logit of"), target), share,
    moved, drawn, element("div", { class: "middle" }, logits, trials), status);

  // On a phone image and gradient stay in sight, below the bar of the page's theme

  const below = () => {
    const bar = document.querySelector(".bd-header-article");
    root.style.setProperty("--lab-top", `${bar?.offsetHeight ?? 0}px`);
  };
  window.addEventListener("resize", below);
  below();

  // Hands on the pad

  const pen = { at: [size / 2, size / 4], down: false };
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * size - 0.5, (event.clientY - box.top) / box.height * size - 0.5];
  };
  const lower = (point) => {
    Object.assign(pen, { at: point, down: true });
    set({ strokes: [...state.strokes, [point]] }, true);
    change();
  };
  const lead = (point) => {
    pen.at = point.map((v) => clip(v, 0, size - 1));
    if (pen.down) {
      state.strokes.at(-1).push(pen.at);
      set({}, true);
    }
    change();
  };
  const lift = () => {
    if (!pen.down) return;
    pen.down = false;
    set({}, true);
    change();
  };
  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pad.focus();
    pad.setPointerCapture(event.pointerId);
    lower(at(event));
  });
  pad.addEventListener("pointermove", (event) => { if (pen.down && event.buttons) lead(at(event)); });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, lift);
  pad.addEventListener("blur", () => { lift(); change(); });
  pad.addEventListener("focus", () => change());
  pad.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) lead(plus(pen.at, way, event.shiftKey ? 4 : 1));
    else if (event.key === " ") pen.down ? lift() : lower(pen.at);
    else if (event.key === "Backspace") undo();
    else return;
    event.preventDefault();
    change();
  });

  // From the state to what is seen

  const place = () => { // the image without noise, and the tangent space that belongs to it
    if (state.clean) return;
    if (state.hand === "move") {
      const { image, changes } = digit(data, state.digit, state.u);
      Object.assign(state, { clean: image, near: null, basis: orthonormal(changes) });
    } else {
      const image = drawing(data, state.strokes), near = !pen.down && norm(image) > 1 ? nearest(data, image) : null;
      Object.assign(state, { clean: image, near, basis: near && orthonormal(near.changes) });
    }
  };
  const noisy = () => {
    place();
    const { clean, basis, seed } = state, length = norm(clean) / 100;
    if (!basis || !(state.along || state.across)) return clean;
    const unit = directions(basis, normal(seed, d));
    return plus(plus(clean, unit.along, state.along * length), unit.across, state.across * length);
  };
  const short = (v) => v.toFixed(Math.abs(v) >= 9.995 ? 1 : 2).replace("-", "−");
  const exact = (v) => (v >= 99.5 || v === 0 ? v.toFixed(0) : v.toPrecision(3)); // a length, in three digits
  const percent = (v) => `${(100 * v).toFixed(0)} %`;

  const showGradient = ({ image, gradient, tangent, orthogonal, explained, length }) => {
    const top = gradient.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-30);
    const colour = (v) => signed(data.colours, v / top), unknown = "not known for a drawing";
    const meant = state.hand === "move" ? `digit ${state.digit}` : "your drawing";
    const words = `of the logit of ${explained}, ${exact(length)} logits per pixel unit: red raises, blue lowers it`;
    panels[0].show(image, grey, `${meant}, length ${exact(norm(image))}`);
    panels[1].show(gradient, colour, `of logit ${explained}, length ${exact(length)}`, words);
    panels[2].show(tangent, colour, tangent ? `length ${exact(norm(tangent))}` : unknown);
    panels[3].show(orthogonal, colour, orthogonal ? `length ${exact(norm(orthogonal))}` : unknown);
    const ends = `blue is −${top.toPrecision(2)}, red +${top.toPrecision(2)}`;
    about.textContent = `${nets[state.net].about} Gradients, in logits per pixel unit: ${ends}.`;
  };
  const showShare = ({ fraction, basis, length }) => {
    const there = Boolean(basis) && length > 0, k = basis?.length ?? latents.length, level = chance[k];
    filled.style.width = `${100 * (there ? fraction : 0)}%`;
    mark.style.left = `${100 * level}%`;
    mark.hidden = !there;
    const unknown = "fraction in tangent space: not known";
    amount.textContent = there ? `${fraction.toFixed(2)} of its length in tangent space` : unknown;
    const times = `Chance is ${level.toFixed(3)} for ${k} of ${d.toLocaleString("en")} dimensions; this is ` +
      `${(fraction / level).toFixed(1)} times as much.`;
    said.textContent = there ? times : basis ? "This gradient is zero." : "Draw, and lift the pen.";
    if (state.near) {
      said.textContent += ` The tangent space is that of the nearest stroke digit, a ${state.near.which}; the two ` +
        `differ by ${percent(state.near.distance)} of the drawing’s length.`;
    }
    meter.setAttribute("aria-label", `${amount.textContent}. ${said.textContent}`);
  };
  const showLogits = ({ logits: f, probabilities }) => {
    const reach = Math.max(...f.map(Math.abs), 1e-30), says = largest(f);
    for (const { c, bar, number, odds, node } of rows) {
      const part = 0.5 * Math.abs(f[c]) / reach;
      bar.style.width = `${100 * part}%`;
      bar.style.left = `${100 * (f[c] < 0 ? 0.5 - part : 0.5)}%`;
      number.textContent = short(f[c]);
      odds.textContent = probabilities[c].toFixed(2);
      node.classList.toggle("says", c === says);
    }
  };
  const showAttack = ({ logits: f, basis }) => {
    const says = largest(f), { before, label, steps } = state, long = norm(state.delta);
    const against = state.hand === "move" ? `class ${state.digit}` : "the class it says";
    const wrong = state.hand === "move" && says !== state.digit;
    const already = wrong ? ` The network says ${says}: already wrong before the attack.` : "";
    const still = says === label ? ", still right" : `, no longer ${label}`;
    const verdict = before === label ? still : `; it was already wrong before the attack and said ${before}`;
    const share = norm(within(basis ?? [], state.delta)) / long;
    const part = basis && long ? `, ${share.toFixed(2)} of it along the manifold` : "";
    fooled.textContent = steps
      ? `After step ${steps} the change is ${short(long)} long${part}; the network says ${says}${verdict}.`
      : `Each step is ${short(2.5 * state.eps / data.steps)} long and raises the loss at ${against}.${already}`;
  };
  const showPad = () => {
    paint(pad, state.clean, grey);
    const context = pad.getContext("2d"), edge = Math.round(0.19 * size);
    context.strokeStyle = "rgb(120 170 220 / 30%)"; // where the digits of the networks lie
    context.strokeRect(edge + 0.5, edge + 0.5, size - 2 * edge - 1, size - 2 * edge - 1);
    context.fillStyle = pen.down ? "#ef7350" : "#5ab4f0";
    if (document.activeElement === pad) context.fillRect(Math.round(pen.at[0]), Math.round(pen.at[1]), 1, 1);
    const { near } = state;
    ghost.show(near?.image, grey, near ? `a ${near.which}, ${percent(near.distance)} away` : "when you lift the pen");
  };
  const update = () => {
    waiting = false;
    const net = nets[state.net], image = plus(noisy(), state.delta);
    const seen = { ...explain(net.layers, image, state.basis, state.target), image, basis: state.basis };
    for (const show of [showGradient, showShare, showLogits, showAttack]) show(seen);
    for (const one of [network, hand, which, ...sliders, along, across, budget]) one.show();
    for (const one of [along, across]) one.input.disabled = !state.basis;
    moved.hidden = state.hand !== "move";
    drawn.hidden = state.hand !== "draw";
    if (!drawn.hidden) showPad();
    clearTimeout(spoken); // a screen reader hears where the hand rests, not each of its movements
    spoken = setTimeout(() => {
      const says = largest(seen.logits), sure = seen.probabilities[says].toFixed(2);
      status.textContent = `The ${net.name} network says ${says}, probability ${sure}. ${amount.textContent}. ` +
        `${said.textContent} ${state.steps ? fooled.textContent : ""}`;
    }, 700);
    return seen;
  };
  const change = () => {
    if (!waiting) requestAnimationFrame(update);
    waiting = true;
  };

  const numbers = { digit, orthonormal, explain, step, directions, normal, nearest, drawing, half };
  root.laboratory = { state, nets, data, update, ...numbers };
  update();
}
