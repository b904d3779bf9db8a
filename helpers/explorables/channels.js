// Channels: one number of a map is a sum over the windows of all channels, and a bias.
const IMAGE = [
  [[1, 1, 0], [1, 1, 0], [1, 0, 0]],
  [[2, 2, 0], [0, 2, 1], [1, 1, 1]],
  [[2, 0, 1], [2, 2, 1], [2, 0, 2]],
].map(channel => [Array(5).fill(0), ...channel.map(line => [0, ...line, 0]), Array(5).fill(0)]);  // padding of 1
// As printed on the lecture's slide.
const SLIDE = [[[3, 2, 0], [4, 1, 0], [3, 1, 0]], [[7, 2, 2], [4, 0, 8], [1, -2, 1]]];
const LIMIT = 99;
const PLACES = [0, 1, 2];
const grid = make => PLACES.map(row => PLACES.map(column => make(row, column)));
const WEIGHT = [
  [[[1, 0, 1], [1, 0, -1], [-1, 1, 0]], [[-1, -1, 1], [-1, 0, -1], [0, 0, 0]], [[0, 0, -1], [0, 1, 1], [0, 0, 1]]],
  [[[-1, 0, -1], [0, 0, -1], [-1, 0, 1]], [[1, -1, 0], [0, -1, 0], [1, 0, 1]], [[-1, 1, -1], [1, 1, 0], [-1, 1, 1]]],
];
const total = numbers => numbers.reduce((sum, value) => sum + value, 0);
// Negative numbers in a sum stand in brackets.
const bracketed = (name, value) => element("span", {}, value < 0 ? "(" : "", result(name, value), value < 0 ? ")" : "");

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Channels: one number of a map, from three channels");
    const products = (filter, channel, row, column) =>
      grid((r, c) => IMAGE[channel][row + r][column + c] * model.get("weight")[filter][channel][r][c]);
    const sumsAt = (filter, row, column) => PLACES.map(channel => total(products(filter, channel, row, column).flat()));
    const outputAt = (filter, row, column) => total(sumsAt(filter, row, column)) + model.get("bias")[filter];
    const differs = (filter, row, column) => outputAt(filter, row, column) !== SLIDE[filter][row][column];
    const different = filter => total(grid((row, column) => Number(differs(filter, row, column))).flat());
    const here = () => {
      const [filter, row, column] = model.get("position");
      const sums = sumsAt(filter, row, column).map((sum, channel) => `channel ${channel}: ${number(sum)}`).join(", ");
      const bias = number(model.get("bias")[filter]), all = number(outputAt(filter, row, column));
      return `Map ${filter}, row ${row}, column ${column}. ${sums}, bias: ${bias}; together ${all}`;
    };

    const maps = [0, 1].map(filter => {
      const board = matrix({ point: (row, column) => { change(model, { position: [filter, row, column] }); say(here()); } });
      const slide = matrix(), verdict = element("p", { class: "note" });
      const bias = stepper(`Bias of filter ${filter}`, { min: -LIMIT, max: LIMIT }, value => {
        change(model, { bias: model.get("bias").map((old, f) => (f === filter ? value : old)) });
        const compared = model.get("compare") ? `; ${different(filter)} of 9 numbers differ from the slide's` : "";
        say(`Bias of filter ${filter}: ${number(value)}${compared}`);
      });
      board.element.append(bias.element);
      slide.element.append(verdict);
      return { board, slide, verdict, bias };
    });
    const compare = tick("Show what the slide prints", value => change(model, { compare: value }));
    const reset = button("Back to the lecture's numbers", () => {
      change(model, { weight: WEIGHT, bias: [1, 0] });
      say(here());
    });

    const setWeight = (channel, row, column, value) => {
      const [filter] = model.get("position");
      const edited = (f, k, r, c) => f === filter && k === channel && r === row && c === column;
      change(model, { weight: model.get("weight").map((kernels, f) => kernels.map((kernel, k) =>
        kernel.map((line, r) => line.map((old, c) => (edited(f, k, r, c) ? value : old))))) });
      say(here());
    };
    const channels = PLACES.map(channel => {
      const image = matrix(), terms = element("div", { class: "terms" }), sum = element("div", { class: "part" });
      const kernel = matrix({
        edit: (row, column, value) => setWeight(channel, row, column, value),
        accepts: value => Number.isInteger(value) && Math.abs(value) <= LIMIT, wanted: `a whole number from −${LIMIT} to ${LIMIT}`,
      });
      kernel.element.classList.add("kernel");
      const sign = text => element("div", { class: "between", "aria-hidden": "true" }, text);
      const line = element("div", { class: "channel" }, image.element, sign("∗"), kernel.element, sign("="), terms, sum);
      return { image, kernel, terms, sum, line };
    });
    const last = element("div", { class: "sum" });
    root.append(
      element("div", { class: "pictures maps" }, ...maps.flatMap(({ board, slide }) => [board.element, slide.element])),
      element("div", { class: "controls" }, compare.element, reset),
      ...channels.map(({ line }) => line),
      last,
    );

    const drawMaps = position => maps.forEach(({ board, slide, verdict, bias }, filter) => {
      const values = grid((row, column) => outputAt(filter, row, column)), chosen = filter === position[0];
      board.show({
        values, name: "output", label: `map ${filter}`, current: chosen ? position.slice(1) : null,
        frame: chosen ? [...position.slice(1), 1, 1] : null,
        describe: (row, column) => `map ${filter}, row ${row}, column ${column}: ${number(values[row][column])}`,
      });
      bias.show(model.get("bias")[filter]);
      slide.element.hidden = !model.get("compare");
      slide.show({
        values: SLIDE[filter], name: "slide", label: `map ${filter} on the slide`,
        note: (row, column) => (differs(filter, row, column) ? "≠" : ""),
      });
      verdict.replaceChildren(result("different", different(filter)), " of 9 differ");
    });
    const drawChannels = ([filter, row, column]) => channels.forEach(({ image, kernel, terms, sum }, channel) => {
      const weights = model.get("weight")[filter][channel], parts = products(filter, channel, row, column);
      image.show({ values: IMAGE[channel], label: `channel ${channel}`, frame: [row, column, 3, 3] });
      kernel.show({
        values: weights, label: `kernel ${channel} of filter ${filter}`,
        describe: (r, c) => `kernel ${channel} of filter ${filter}, weight in row ${r}, column ${c}`,
      });
      terms.replaceChildren(...parts.map((line, r) => element("div", { class: "line" }, ...line.map((product, c) =>
        element("span", { class: product ? "term" : "term nothing" },
          element("span", {}, result("window", IMAGE[channel][row + r][column + c]), " · ",
            element("span", { class: "weight" }, result("weights", weights[r][c]))),
          element("b", {}, result("terms", product)), r + c ? element("i", {}, "+") : null)))));
      sum.replaceChildren("= ", result("sums", total(parts.flat())));
    });
    const draw = () => {
      const position = model.get("position"), [filter, row, column] = position;
      compare.show(model.get("compare"));
      drawMaps(position);
      drawChannels(position);
      last.replaceChildren(
        element("div", { class: "title" }, `Map ${filter}, row ${row}, column ${column}: the three channels, and the bias`),
        element("div", { class: "together" },
          ...sumsAt(...position).flatMap((sum, channel) => [channel ? " + " : "", bracketed("sums", sum)]),
          " + ", bracketed("bias", model.get("bias")[filter]), " = ", element("b", {}, result("sum", outputAt(...position)))),
      );
    };
    connect(model, ["weight", "bias", "position", "compare"], draw);
  },
};
