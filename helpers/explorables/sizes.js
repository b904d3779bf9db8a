// Sizes: a window walks over the padded input. Along one side, the first window, its steps, and what is left over make up
// the padded input: that is the formula.
const SIDE = [
  ["input_size", "Input", 1, 32], ["kernel_size", "Kernel", 1, 11], ["stride", "Stride", 1, 8],
  ["padding", "Padding", 0, 5], ["dilation", "Dilation", 1, 5],
];
const CHANNELS = [["in_channels", "Channels of the input", 1, 512], ["out_channels", "Filters", 1, 512]];
const WIDEST = 330, LARGEST = 30;  // pixels: a picture must fit on a phone, and a cell need not be larger

const upTo = count => Array.from({ length: count }, (_, i) => i);
const squares = (rows, columns) => rows.flatMap(row => columns.map(column => `M${column} ${row}h1v1h-1z`)).join("");
const crosses = cells => cells.map(([row, column]) => `M${column + 0.2} ${row + 0.2}l.6.6m0-.6l-.6.6`).join("");
const frame = (row, column, size) => `M${column} ${row}h${size}v${size}h${-size}z`;
const large = value => value.toLocaleString("en-US");
// A square of cells: paths, each with a class, from the lowest to the uppermost.
const mesh = (side, paths) => {
  const lines = upTo(side + 1).map(i => `M0 ${i}h${side}M${i} 0v${side}`).join("");
  const drawn = Object.entries({ lines, ...paths }).map(([name, path]) => `<path class="${name}" d="${path}"/>`).join("");
  return `<svg viewBox="0 0 ${side} ${side}" aria-hidden="true">${drawn}</svg>`;
};

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Sizes: a window walks over its input");
    const look = () => {
      const [input, kernel, stride, padding, dilation] = SIDE.map(([name]) => model.get(name));
      const span = dilation * (kernel - 1) + 1, padded = input + 2 * padding, room = padded - span;
      const steps = Math.floor(room / stride), places = steps + 1;
      const taps = upTo(kernel).map(tap => tap * dilation);
      const read = new Set(upTo(places).flatMap(place => taps.map(tap => place * stride + tap - padding)));
      const [row, column] = model.get("position").map(place => Math.min(place, steps));
      const left = room % stride;
      return { input, kernel, stride, padding, dilation, span, padded, room, steps, places, left, taps, read, row, column };
    };
    const go = (row, column) =>
      change(model, { position: [row, column].map(place => Math.min(look().steps, Math.max(0, place))) });
    const here = () => {
      const { row, column, stride, padding, span, places } = look();
      const ends = place => `${number(place * stride - padding)} to ${number(place * stride - padding + span - 1)}`;
      const where = `Row ${row}, column ${column}: the window spans rows ${ends(row)}, columns ${ends(column)}.`;
      return `Output of ${places} by ${places}. ${where}`;
    };

    // A setting that leaves the kernel no place is refused.
    const settle = (name, value) => {
      const { input, kernel, stride, padding, dilation } = { ...look(), [name.replace("_size", "")]: value };
      const span = dilation * (kernel - 1) + 1, padded = input + 2 * padding;
      walk.stop();
      if (span > padded) return `The kernel would span ${counted(span, "cell")}, the padded input has only ${padded}.`;
      const last = Math.floor((padded - span) / stride);
      change(model, { [name]: value, position: model.get("position").map(place => Math.min(place, last)) });
      say(here());
    };
    const stepperOf = ([name, label, min, max], onchange) =>
      [name, stepper(label, { min, max }, value => onchange(name, value))];
    const sides = SIDE.map(each => stepperOf(each, settle));
    const channels = CHANNELS.map(each => stepperOf(each, (name, value) => {
      change(model, { [name]: value });
      say(`${large(bill().parameters)} parameters, ${large(bill().multiplications)} multiplications`);
    }));
    const bill = () => {
      const { kernel, places } = look(), depth = model.get("in_channels"), filters = model.get("out_channels");
      const weights = depth * kernel * kernel, parameters = filters * (weights + 1);
      return { depth, filters, weights, parameters, multiplications: filters * places * places * weights };
    };

    // Pointing at a cell brings the window, or its place on the output, there; dragging takes it along.
    const follow = (board, side, move) => pointed(board, event => {
      const box = board.firstChild.getBoundingClientRect();
      const cell = (at, from, size) => Math.floor(((at - from) / size) * side());
      walk.stop();
      move(cell(event.clientY, box.top, box.height), cell(event.clientX, box.left, box.width));
      say(here());
    });
    const inputBoard = element("div", { class: "mesh", role: "img" }), inputTitle = element("div", { class: "title" });
    const outputBoard = element("div", {
      class: "mesh", role: "slider", tabindex: 0, "aria-label": "output: place of the window", "aria-valuemin": 0,
      onkeydown: event => {
        const [down, right] = stepOf(event);
        if (!(down || right) || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        walk.stop();
        go(look().row + down, look().column + right);
      },
    });
    const outputTitle = element("div", { class: "title" });
    follow(inputBoard, () => look().padded, (row, column) => {
      const { span, stride } = look(), nearest = cell => Math.round((cell - (span - 1) / 2) / stride);
      go(nearest(row), nearest(column));
    });
    follow(outputBoard, () => look().places, go);
    const walk = player({
      count: () => look().places ** 2,
      at: () => look().row * look().places + look().column,
      go: place => {
        go(Math.floor(place / look().places), place % look().places);
        if (!walk.playing()) say(here());
      },
      delay: () => (look().places > 7 ? 60 : 500),
    });

    const ruler = element("div", { class: "ruler", "aria-hidden": "true" }), where = element("p", { class: "note" });
    const key = ["under", "padding", "never"].map((name, i) => [
      element("span", { class: "swatch" }), ["read by this window", "padding: zeros", "pixels that no window reads"][i], name,
    ]);
    for (const [swatch, , name] of key) {
      swatch.innerHTML = mesh(1, { [name]: name === "never" ? crosses([[0, 0]]) : squares([0], [0]) });
    }
    const formula = element("div", { class: "sum" }), verdict = element("div", { class: "verdict" });
    const cost = element("div", { class: "cost" });
    root.append(
      element("div", { class: "controls sides" }, ...sides.map(([, each]) => each.element)),
      element("div", { class: "pictures" },
        element("div", { class: "picture" }, inputTitle, inputBoard, ruler),
        element("div", { class: "between", "aria-hidden": "true" }, "→"),
        element("div", { class: "picture" }, outputTitle, outputBoard)),
      element("div", { class: "key" }, ...key.map(([swatch, text]) => element("span", {}, swatch, text))),
      walk.element, where, formula, verdict,
      element("div", { class: "controls" }, ...channels.map(([, each]) => each.element)), cost,
    );

    const drawBoards = ({ input, kernel, stride, padding, span, padded, places, left, taps, read, row, column }) => {
      const cell = Math.min(LARGEST, Math.floor(WIDEST / Math.max(padded, places)));
      const inside = place => place >= padding && place < padding + input;
      const around = upTo(padded).map(r => squares([r], upTo(padded).filter(c => !inside(r) || !inside(c)))).join("");
      const unread = r => upTo(input).filter(c => !read.has(r) || !read.has(c)).map(c => [r + padding, c + padding]);
      const never = upTo(input).flatMap(unread);
      inputBoard.style.width = ruler.style.width = `${padded * cell}px`;
      inputBoard.innerHTML = mesh(padded, {
        padding: around,
        under: squares(taps.map(tap => row * stride + tap), taps.map(tap => column * stride + tap)),
        border: frame(padding, padding, input),
        never: crosses(never),
        window: frame(row * stride, column * stride, span),
      });
      inputTitle.textContent = `input, ${input}×${input}${padding ? `, padded to ${padded}×${padded}` : ""}`;
      const unseen = `${counted(never.length, "pixel is", "pixels are")} never read.`;
      inputBoard.setAttribute("aria-label", `${inputTitle.textContent}: ${here()} ${unseen}`);
      outputBoard.innerHTML = mesh(places, {
        done: squares(upTo(row), upTo(places)) + squares([row], upTo(column + 1)), window: frame(row, column, 1),
      });
      outputBoard.style.width = `${places * cell}px`;
      outputBoard.setAttribute("aria-valuemax", places * places - 1);
      outputBoard.setAttribute("aria-valuenow", row * places + column);
      outputBoard.setAttribute("aria-valuetext", here());
      outputTitle.replaceChildren("output, ", result("output_size", places), "×", result("output_size", places));

      const piece = (size, name) =>
        element("span", { class: name, style: `grid-column: span ${size}` }, size * cell >= 16 ? String(size) : "");
      ruler.style.gridTemplateColumns = `repeat(${padded}, 1fr)`;
      ruler.replaceChildren(
        piece(span, "first"), ...upTo(places - 1).map(i => piece(stride, i < column ? "taken" : "")),
        ...(left ? [piece(left, "rest")] : []));
      const ends = (name, place) => [
        ` ${place}·${stride} − ${padding} = `, result(name, place * stride - padding),
        " to ", result(name, place * stride - padding + span - 1),
      ];
      where.replaceChildren(
        `Row ${row}, column ${column} of the output: the window spans rows`, ...ends("rows", row),
        ", columns", ...ends("columns", column), ".");
      return never.length;
    };

    const draw = () => {
      const now = look(), { input, kernel, stride, padding, dilation, span, padded, room, steps, places, left } = now;
      for (const [name, each] of [...sides, ...channels]) each.show(model.get(name));
      const never = drawBoards(now);
      formula.replaceChildren(
        element("div", { class: "title" }, "Along one side"),
        element("p", { class: "counted" },
          `${counted(padded, "cell")} = ${span} under the first window + ${counted(steps, "step")} of ${stride} + `,
          result("left_over", left), " left over"),
        element("p", { class: "counted" },
          `⌊(${input} + 2·${padding} − ${dilation}·(${kernel} − 1) − 1)/${stride}⌋ + 1 = ⌊`, result("room", room),
          `/${stride}⌋ + 1 = `, result("steps", steps), " + 1"),
        element("div", { class: "total" }, "= ", result("places", places)),
      );
      verdict.replaceChildren(
        element("p", {}, element("b", {}, "The lecture: "), left
          ? `it does not fit. ${room}/${stride} is not a whole number.`
          : `it fits. ${room}/${stride} = ${steps} is a whole number.`),
        element("p", {}, element("b", {}, "PyTorch: "), left ? "rounds down, and says nothing. " : "has nothing to round. ",
          result("never", never), ` of the ${counted(input * input, "pixel")} ${never === 1 ? "is" : "are"} never read`, never ? " (×)." : "."),
      );
      const { depth, filters, weights, parameters, multiplications } = bill();
      cost.replaceChildren(
        element("p", {}, element("b", {}, "Parameters: "),
          `${counted(filters, "filter")} · (${depth}·${kernel}·${kernel} ${weights === 1 ? "weight" : "weights"} + 1 bias) = `,
          result("parameters", parameters, large(parameters))),
        element("p", {}, element("b", {}, "Multiplications: "),
          `${places}·${places} ${places === 1 ? "place" : "places"} · ${counted(filters, "filter")} · ${large(weights)} `
            + `${weights === 1 ? "weight" : "weights"} = `,
          result("multiplications", multiplications, large(multiplications))),
      );
    };
    connect(model, [...SIDE, ...CHANNELS].map(([name]) => name).concat("position"), draw);
    return walk.stop;
  },
};
