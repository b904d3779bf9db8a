// Connections: which inputs an output of one layer uses, and with which weights.
const LAYERS = [["dense", "dense"], ["sparse", "sparse, not shared"], ["convolution", "convolution"]];
const CELL = 45, HEIGHT = 130;  // of a unit, and of the space that the lines cross
const DASHES = ["", "9 4", "2 4", "12 3 2 3", "5 2"];
const LECTURE = { inputs: 3 * 32 * 32, outputs: 6 * 28 * 28, joined: 6 * 28 * 28 * 75, own: 6 * (75 + 1) };
const grouped = value => value.toLocaleString("en");
// Neighbouring numbers get shades far from each other.
const shade = weight => signed(1)(2 * ((weight * 0.618) % 1) - 1);

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Connections: inputs and outputs of one layer");
    const look = () => {
      const [layer, dimensions, side, unit, input, kernel, stride] =
        ["layer", "dimensions", "side", "unit", "input_size", "kernel_size", "stride"].map(name => model.get(name));
      const output = Math.floor((input - kernel) / stride) + 1;
      const inputs = input ** dimensions, outputs = output ** dimensions, count = side === "input" ? inputs : outputs;
      const sizes = { input, output, kernel, stride, inputs, outputs, cells: kernel ** dimensions };
      return { layer, dimensions, side, unit: Math.min(unit, count - 1), ...sizes };
    };
    // The number of the weight of a connection, from 1, or null where there is none.
    const weightOf = ({ layer, dimensions, input, output, kernel, stride, inputs, cells }, to, from) => {
      if (layer === "dense") return to * inputs + from + 1;
      const down = dimensions === 1 ? 0 : Math.floor(from / input) - stride * Math.floor(to / output);
      const right = (from % input) - stride * (to % output);
      const under = down >= 0 && down < kernel && right >= 0 && right < kernel;
      return under ? down * kernel + right + 1 + (layer === "sparse" ? to * cells : 0) : null;
    };
    const ofUnit = now => Array.from({ length: now.side === "output" ? now.inputs : now.outputs }, (_, other) =>
      (now.side === "output" ? weightOf(now, now.unit, other) : weightOf(now, other, now.unit)));
    const nameOf = ({ side, unit, dimensions, input, output }) => {
      const size = side === "input" ? input : output;
      if (dimensions === 1) return `${side === "input" ? "Input" : "Output"} ${unit}`;
      return `The ${side} in row ${Math.floor(unit / size)}, column ${unit % size}`;
    };
    const verb = ({ side }) => (side === "output" ? "uses" : "is used by");
    const others = ({ side }) => (side === "output" ? "input" : "output");
    const here = () => {
      const now = look(), all = ofUnit(now), weights = all.filter(weight => weight !== null);
      const listed = `${weights.slice(0, 9).join(", ")}${weights.length > 9 ? " and so on" : ""}`;
      const which = weights.length ? `, with weight${weights.length > 1 ? "s" : ""} ${listed}` : "";
      return `${nameOf(now)} ${verb(now)} ${weights.length} of ${counted(all.length, others(now))}${which}`;
    };
    const point = (side, size) => (row, column) => { change(model, { side, unit: row * size() + column }); say(here()); };
    // A size that does not fit is refused, and says why.
    const setSize = values => {
      const size = { ...look(), ...values };
      if (size.kernel > size.input) return `A kernel of ${size.kernel} does not fit into ${size.input} inputs.`;
      const output = Math.floor((size.input - size.kernel) / size.stride) + 1;
      const count = (size.side === "input" ? size.input : output) ** size.dimensions;
      const { input, kernel, stride, dimensions, side } = size;
      change(model, { input_size: input, kernel_size: kernel, stride, dimensions, side, unit: Math.min(size.unit, count - 1) });
      say(here());
    };

    const layer = radios("Layer", LAYERS, name => { change(model, { layer: name }); say(here()); });
    const dimensions = radios("Units", [[1, "in a row"], [2, "in a square"]], value => setSize({ dimensions: value }));
    const sizes = {
      input: stepper("Inputs", { min: 3, max: 7 }, value => setSize({ input: value })),
      kernel: stepper("Kernel size", { min: 1, max: 5 }, value => setSize({ kernel: value })),
      stride: stepper("Stride", { min: 1, max: 3 }, value => setSize({ stride: value })),
    };
    const outputs = matrix({ point: point("output", () => look().output) });
    const inputs = matrix({ point: point("input", () => look().input) });
    const lines = svg("svg", { "aria-hidden": "true" });
    const drawing = element("div", { class: "joined-units" }, outputs.element, lines, inputs.element);
    const whole = matrix(), sentence = element("p", { class: "used" }), bill = element("tbody");
    const heads = ["", "connections", "parameters"].map(text => element("th", { scope: "col" }, text));
    const table = element("table", { class: "bill" }, element("thead", {}, element("tr", {}, ...heads)), bill);
    root.append(
      element("div", { class: "controls" }, layer.element, dimensions.element),
      element("div", { class: "controls" }, ...Object.values(sizes).map(({ element }) => element)),
      drawing, sentence, whole.element, table,
    );

    const drawLines = now => {
      const width = CELL * Math.max(now.input, now.output), middle = count => width / 2 - (CELL * (count - 1)) / 2;
      const paths = [];
      lines.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      lines.style.width = `calc(var(--cell) * ${Math.max(now.input, now.output)})`;
      for (let to = 0; to < now.outputs; to++) for (let from = 0; from < now.inputs; from++) {
        const weight = weightOf(now, to, from), chosen = now.unit === (now.side === "output" ? to : from);
        if (weight === null) continue;
        const d = `M${middle(now.output) + CELL * to} 0L${middle(now.input) + CELL * from} ${HEIGHT}`;
        const line = (kind, attributes) => svg("path", { d, class: `${kind}${chosen ? " chosen" : ""}`, ...attributes });
        // Shared weights: the colour and the dashes of that weight, on a line in the colour of the text.
        const parts = [line("under", {})], style = `stroke:${css(shade(weight))}`;
        if (now.layer === "convolution") parts.push(line("shared", { style, "stroke-dasharray": DASHES[weight - 1] }));
        paths.push({ chosen, parts });
      }
      paths.sort((a, b) => a.chosen - b.chosen);
      lines.replaceChildren(...paths.flatMap(({ parts }) => parts));
    };
    const drawUnits = now => {
      for (const [side, board, size] of [["output", outputs, now.output], ["input", inputs, now.input]]) {
        const chosen = side === now.side, place = [Math.floor(now.unit / size), now.unit % size];
        const units = chosen ? Array.from({ length: size ** now.dimensions }, (_, i) => i) : ofUnit(now);
        const values = Array.from({ length: units.length / size }, (_, row) => units.slice(row * size, (row + 1) * size));
        board.show({
          values, title: now.dimensions === 1 ? counted(size, side) : `${size}×${size} ${side}s`, label: `${side}s`,
          frame: chosen ? [...place, 1, 1] : null, current: chosen ? place : null,
          name: chosen ? null : "weights", text: chosen ? value => (value === now.unit ? "●" : "") : number,
          colour: !chosen && now.layer === "convolution" ? shade : null,
          describe: (row, column) => {
            const i = row * size + column, weight = values[row][column];
            return `${side} ${i}${chosen ? "" : weight === null ? ", not connected" : `, weight ${weight}`}`;
          },
        });
      }
    };
    const drawBill = now => {
      const here = { ...now, joined: now.outputs * now.cells, own: now.cells + 1 };
      const rowsOf = ({ inputs, outputs, joined, own }) =>
        [[inputs * outputs, inputs * outputs + outputs], [joined, joined + outputs], [joined, own]];
      const head = text => element("tr", {}, element("th", { scope: "rowgroup", colspan: 3 }, text));
      const body = (rows, chosen) => rows.map(([connections, parameters], i) =>
        element("tr", { class: LAYERS[i][0] === chosen ? "chosen" : null },
          element("th", { scope: "row" }, LAYERS[i][1]),
          element("td", {}, result("connections", connections, grouped(connections))),
          element("td", {}, result("parameters", parameters, grouped(parameters)))));
      bill.replaceChildren(
        head("This layer"), ...body(rowsOf(here), now.layer),
        head("The lecture's: 32×32×3 to 28×28×6, kernels of 5×5"), ...body(rowsOf(LECTURE)),
      );
    };
    const draw = () => {
      const now = look(), square = now.dimensions === 2, used = ofUnit(now);
      layer.show(now.layer);
      dimensions.show(now.dimensions);
      for (const [name, control] of Object.entries(sizes)) control.show(now[name]);
      drawing.classList.toggle("square-units", square);
      lines.toggleAttribute("hidden", square);
      drawUnits(now);
      if (!square) drawLines(now);
      whole.element.hidden = !square;
      whole.show({
        values: Array.from({ length: now.outputs }, (_, to) =>
          Array.from({ length: now.inputs }, (_, from) => weightOf(now, to, from))),
        label: "all connections: a row for each output, a column for each input",
        frame: now.side === "output" ? [now.unit, 0, 1, now.inputs] : [0, now.unit, now.outputs, 1], colour: shade, largest: 0,
      });
      sentence.replaceChildren(
        `${nameOf(now)} ${verb(now)} `, result("used", used.filter(weight => weight !== null).length),
        " of ", result("of", used.length), counted(used.length, others(now)).replace(/^\d+/, ""), ".",
      );
      drawBill(now);
    };
    connect(model, ["layer", "dimensions", "input_size", "kernel_size", "stride", "side", "unit"], draw);
  },
};
