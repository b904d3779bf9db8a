// Receptive field: one unit, the units that it looks at in the map below, and so on down to the input.
const SETTINGS = [
  ["kernel_size", "Window", 1, 7], ["stride", "Stride", 1, 4], ["padding", "Padding", 0, 6], ["dilation", "Dilation", 1, 8],
];
const layerOf = (kind, kernel_size, stride = 1, padding = 0, dilation = 1) =>
  ({ kind, kernel_size, stride, padding, dilation });
const conv = (...settings) => layerOf("conv", ...settings), pool = (...settings) => layerOf("pool", ...settings);
const EXAMPLES = [
  ["three 3×3 layers", [conv(3), conv(3), conv(3)]],
  ["the same, each with stride 2", [conv(3, 2), conv(3, 2), conv(3, 2)]],
  ["the same, with dilation 1, 2, 4", [conv(3), conv(3, 1, 0, 2), conv(3, 1, 0, 4)]],
  ["a 3×3 layer, pooling, a 3×3 layer", [conv(3, 1, 1), pool(2, 2), conv(3, 1, 1)]],
  ["LeNet's convolutions and pooling", [conv(5), pool(2, 2), conv(5), pool(2, 2)]],
];
const MOST = 6, HIGH = 24;  // layers; pixels of a map

const upTo = count => Array.from({ length: count }, (_, i) => i);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const nameOf = layer => `${layer.kernel_size}×${layer.kernel_size} ${layer.kind}`;
const extras = layer => SETTINGS.slice(1).filter(([name, , least]) => layer[name] !== (name === "padding" ? 0 : 1))
  .map(([name]) => `${name}\u00a0${layer[name]}`).join(", ");
// Map after map from the input up: how many units it has, and of their fields the size, start and step.
const mapsOf = (layers, input) => {
  const maps = [{ count: input, size: 1, start: 0, step: 1 }];
  for (const { kernel_size, stride, padding, dilation } of layers) {
    const { count, size, start, step } = maps[maps.length - 1], reach = dilation * (kernel_size - 1);
    maps.push({
      count: Math.floor((count + 2 * padding - reach - 1) / stride) + 1,
      size: size + reach * step, start: start - padding * step, step: step * stride,
    });
  }
  return maps;
};
// A unit is drawn as wide as its step, around the middle of its field.
const leftOf = (map, unit) => map.start + unit * map.step + (map.size - map.step) / 2;

export default {
  render({ model, el }) {
    const { root, say, refuse, refused } = stage(el, model, "Receptive field: what one unit of a stack of layers sees");
    const PITCH = 4.75 * parseFloat(getComputedStyle(document.documentElement).fontSize);  // pixels from map to map
    const look = () => {
      const layers = model.get("layers"), input = model.get("input_size"), maps = mapsOf(layers, input);
      const [level, place] = model.get("unit"), depth = Math.min(level, layers.length);
      return { layers, input, maps, depth, place: Math.min(place, maps[depth].count - 1), chosen: layers[depth - 1] };
    };
    // The units of each map that the chosen one depends on; those in the padding have nothing below them.
    const traced = ({ layers, maps, depth, place }) => {
      const units = [];
      units[depth] = [place];
      for (let level = depth; level > 0; level--) {
        const { kernel_size, stride, padding, dilation } = layers[level - 1];
        const real = units[level].filter(unit => unit >= 0 && unit < maps[level].count);
        const below = real.flatMap(unit => upTo(kernel_size).map(tap => unit * stride - padding + tap * dilation));
        units[level - 1] = [...new Set(below)];
      }
      return units;
    };
    const here = () => {
      const { maps, depth, place } = look(), { size, start, step } = maps[depth], first = start + place * step;
      const pixels = `from ${number(first)} to ${number(first + size - 1)}`;
      return `Unit ${place} of map ${depth} sees ${size} by ${size} pixels, ${pixels}.`;
    };
    const nearest = (map, at) =>
      Math.min(map.count - 1, Math.max(0, Math.round((at - leftOf(map, 0)) / map.step - 0.5)));
    const choose = (level, at) => {
      const { maps } = look(), depth = Math.min(maps.length - 1, Math.max(0, level));
      change(model, { unit: [depth, nearest(maps[depth], at)] });
      say(here());
    };
    const middle = () => { const { maps, depth, place } = look(); return leftOf(maps[depth], place + 0.5); };

    // Another stack or input: taken if every layer fits on the one below. Returns the reason if not.
    const build = (layers, input = look().input, depth = look().depth) => {
      if (!layers.length) return "One layer has to stay.";
      if (layers.length > MOST) return `There is room for ${MOST} layers.`;
      const maps = mapsOf(layers, input), bad = maps.findIndex(map => map.count < 1);
      if (bad > 0) {
        const { dilation, kernel_size, padding } = layers[bad - 1], span = dilation * (kernel_size - 1) + 1;
        const there = maps[bad - 1].count + 2 * padding;
        return `Layer ${bad} would need ${span} cells, there ${there === 1 ? "is" : "are"} only ${there}.`;
      }
      const over = layers.find(layer => layer.kind === "pool" && 2 * layer.padding > layer.kernel_size);
      if (over) return `A pooling layer is padded by at most half of its window, ${over.kernel_size}/2.`;
      const level = Math.min(depth, layers.length);
      change(model, { layers, input_size: input, unit: [level, nearest(maps[level], middle())] });
      say(here());
    };
    const attempt = (...stack) => { refuse(build(...stack) || ""); draw(); };
    const edited = values => look().layers.map((layer, i) => (i === look().depth - 1 ? { ...layer, ...values } : layer));

    const examples = choice("Stack", [...EXAMPLES.map(([name]) => [name, name]), ["own", "your own"]], name => {
      const [, layers] = EXAMPLES.find(each => each[0] === name) || [, look().layers];
      attempt(layers, look().input, layers.length);
    });
    const input = stepper("Input", { min: 1, max: 64 }, value => build(look().layers, value));
    const kind = radios("Kind", [["conv", "convolution"], ["pool", "pooling"]], value => attempt(edited({ kind: value })));
    const settings = SETTINGS.map(([name, label, min, max]) =>
      [name, stepper(label, { min, max }, value => build(edited({ [name]: value })))]);
    const add = button("Add a layer above", () => {
      const { layers, depth, input } = look();
      attempt([...layers.slice(0, depth), conv(3), ...layers.slice(depth)], input, depth + 1);
    });
    const remove = button("Remove this layer", () => {
      const { layers, depth, input } = look();
      attempt([...layers.slice(0, depth - 1), ...layers.slice(depth)], input, Math.max(1, depth - 1));
    });
    const editorTitle = element("legend");
    const editor = element("fieldset", { class: "editor" }, editorTitle,
      element("div", { class: "controls" }, kind.element, ...settings.map(([, each]) => each.element), add, remove), refused);

    const names = upTo(MOST + 1).map(level =>
      button("", () => choose(level, middle()), { style: `height: ${PITCH - 8}px` }));
    const cut = element("div", {
      class: "cut", role: "slider", tabindex: 0, "aria-valuemin": 0,
      "aria-label": "unit whose field is shown; up and down go to another map",
      onkeydown: event => {
        const [down, right] = stepOf(event);
        if (!(down || right) || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        choose(look().depth - down, middle() + right * look().maps[look().depth].step);
      },
    });
    pointed(cut, event => {
      const box = cut.getBoundingClientRect(), [low, high] = extent(look());
      const level = look().layers.length - Math.floor((event.clientY - box.top) / PITCH);
      choose(level, low + ((event.clientX - box.left) / box.width) * (high - low));
    });
    const plan = element("div", { class: "plan", role: "img" }), words = element("p"), table = element("table");
    const cost = element("div", { class: "cost" });
    root.append(
      element("div", { class: "controls" }, examples.element, input.element),
      element("div", { class: "layers" }, element("div", { class: "names" }, ...[...names].reverse()), cut),
      editor,
      element("div", { class: "controls seen" }, plan, words),
      table, cost,
    );

    // From where to where the maps reach, with their padding, in pixels of the input.
    const extent = ({ layers, maps }) => {
      const padding = level => (layers[level] ? layers[level].padding : 0);
      const end = ({ start, count, step, size }) => start + (count - 1) * step + size;
      return [
        Math.min(...maps.map((map, level) => Math.min(map.start, leftOf(map, -padding(level))))),
        Math.max(...maps.map((map, level) => Math.max(end(map), leftOf(map, map.count + padding(level))))),
      ];
    };
    const drawCut = (now, units) => {
      const { layers, maps, depth, place, input } = now, [low, high] = extent(now);
      const top = level => (layers.length - level) * PITCH + (PITCH - HIGH) / 2;
      const box = (level, unit) => {
        const { step } = maps[level];
        return `M${leftOf(maps[level], unit)} ${top(level)}h${step}v${HIGH}h${-step}z`;
      };
      const boxes = (level, list) => list.map(unit => box(level, unit)).join("");
      const paths = { lines: "", padding: "", edges: "", under: "", window: boxes(depth, [place]) };
      maps.forEach((map, level) => {
        const inside = unit => unit >= 0 && unit < map.count, padding = layers[level] ? layers[level].padding : 0;
        paths.lines += boxes(level, upTo(map.count));
        paths.padding += boxes(level, upTo(padding).flatMap(i => [-1 - i, map.count + i]));
        paths.under += boxes(level, units[level] || []);
        if (level === 0 || level > depth) return;
        const { kernel_size, stride, padding: below, dilation } = layers[level - 1];
        for (const unit of units[level].filter(inside)) for (const tap of upTo(kernel_size)) {
          const other = leftOf(maps[level - 1], unit * stride - below + tap * dilation + 0.5);
          paths.edges += `M${leftOf(map, unit + 0.5)} ${top(level) + HIGH}L${other} ${top(level - 1)}`;
        }
      });
      const drawn = Object.entries(paths).map(([name, path]) => `<path class="${name}" d="${path}"/>`).join("");
      const { size, start, step } = maps[depth], first = start + place * step;
      cut.innerHTML = `<svg viewBox="${low} 0 ${high - low} ${PITCH * maps.length}" preserveAspectRatio="none" `
        + `aria-hidden="true">${drawn}<path class="bracket" d="M${first} ${top(0) + HIGH + 6}v8h${size}v-8"/></svg>`;
      cut.style.height = `${PITCH * maps.length}px`;
      cut.setAttribute("aria-valuemax", maps[depth].count - 1);
      cut.setAttribute("aria-valuenow", place);
      cut.setAttribute("aria-valuetext", here());

      // The same from above: rows and columns that are seen.
      const pixels = units[0].filter(pixel => pixel >= 0 && pixel < input);
      plan.innerHTML = `<svg viewBox="${low} ${low} ${high - low} ${high - low}" aria-hidden="true">`
        + `<path class="under" d="${pixels.flatMap(r => pixels.map(c => `M${c} ${r}h1v1h-1z`)).join("")}"/>`
        + `<path class="border" d="M0 0h${input}v${input}h${-input}z"/>`
        + `<path class="window" d="M${first} ${first}h${size}v${size}h${-size}z"/></svg>`;
      plan.setAttribute("aria-label", `The field on the input: ${here()}`);
      return pixels.length;
    };

    const draw = () => {
      const now = look(), { layers, maps, depth, place, chosen } = now, { size, start, step } = maps[depth];
      const full = stack => stack.map(layer => nameOf(layer) + extras(layer));
      const stack = EXAMPLES.find(each => same(full(each[1]), full(layers)));
      examples.show(stack ? stack[0] : "own");
      input.show(now.input);
      if (chosen) {
        kind.show(chosen.kind);
        for (const [name, each] of settings) each.show(chosen[name]);
      }
      for (const part of [kind, ...settings.map(([, each]) => each)]) part.element.hidden = !chosen;
      editorTitle.textContent = chosen ? `Layer ${depth}` : "The input has no settings";
      remove.hidden = !chosen;
      const seen = drawCut(now, traced(now));
      names.forEach((each, level) => {
        each.hidden = level > layers.length;
        if (each.hidden) return each.replaceChildren();
        const layer = layers[level - 1], more = layer ? extras(layer) : "";
        each.setAttribute("aria-pressed", level === depth);
        each.replaceChildren(
          element("b", {}, layer ? `${level}: ${nameOf(layer)}` : "input"),
          element("small", {}, more && `${more}: `, result("map_size", maps[level].count), "\u00a0wide"));
      });
      words.replaceChildren(
        `Unit ${place} of ${depth ? `layer ${depth}` : "the input"}: pixels ${number(start)} + ${place}·${step} = `,
        result("pixels", start + place * step), " to ", result("pixels", start + place * step + size - 1), " along each side, ",
        element("b", {}, `${size}×${size}`), " = ", result("area", size * size), " pixels. It depends on ",
        result("seen", seen * seen), seen === size ? ", all of them." : " of them: the others are skipped, or lie in the padding.");
      const head = ["layer", "size", "start", "step"].map(text => element("th", { scope: "col" }, text));
      table.replaceChildren(element("tr", {}, ...head), ...maps.map((map, level) => {
        const layer = layers[level - 1], below = maps[level - 1];
        const cell = (name, text) => element("td", {}, layer ? `${text} = ` : "", result(name, map[name]));
        return element("tr", { class: level === depth ? "here" : null },
          element("th", { scope: "row" }, layer ? `${level}: ${nameOf(layer)}` : "a pixel"),
          cell("size", layer && `${below.size} + ${layer.dilation}·(${layer.kernel_size} − 1)·${below.step}`),
          cell("start", layer && `${number(below.start)} − ${layer.padding}·${below.step}`),
          cell("step", layer && `${layer.stride}·${below.step}`));
      }));
      const kernels = layers.slice(0, depth).filter(layer => layer.kind === "conv").map(layer => layer.kernel_size);
      const sum = kernels.map(kernel => `(${kernel}·${kernel} + 1)`).join(" + ");
      const total = kernels.reduce((all, kernel) => all + kernel * kernel + 1, 0);
      cost.replaceChildren(
        element("p", {}, element("b", {}, "Parameters up to here: "), sum ? `${sum} = ` : "", result("parameters", total)),
        element("p", {}, element("b", {}, "One filter that sees as much: "), `${size}·${size} + 1 = `,
          result("parameters_of_one", size * size + 1)));
    };
    connect(model, ["layers", "input_size", "unit"], draw);
  },
};
