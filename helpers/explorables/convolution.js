// Convolution: a kernel slides over an image, and the sum under it is written out.

const LECTURE = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]];
const NINTH = 1 / 9;
// Name, rows, and what such a kernel does.
const KERNELS = [
  ["lecture's cross", [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
    "It adds up five pixels, the middle and the four corners, and leaves out the rest."],
  ["blur (average)", [[NINTH, NINTH, NINTH], [NINTH, NINTH, NINTH], [NINTH, NINTH, NINTH]],
    "The mean of nine pixels: small detail goes. The weights add up to 1, so the brightness stays."],
  ["Laplacian", [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "Four neighbours minus four times the middle: 0 where all are the same, something else at edges."],
  ["sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "The image minus its Laplacian: every edge gets harder. The weights add up to 1."],
  ["Sobel, vertical", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "Right minus left: it finds vertical edges, and is positive where the image gets brighter to the right."],
  ["Sobel, horizontal", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "Below minus above: it finds horizontal edges, and is positive where the image gets brighter downwards."],
  ["identity", [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "Only the middle pixel counts: the map is the image without its border."],
  ["numbers 1 to 9", [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    "Turned by 180° it is another kernel, so convolution and cross-correlation differ. Try it on one bright pixel."],
];
const OWN = "your own", OWN_KERNEL = "Your own weights: choose a cell of the kernel and type.";

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const sizeOf = rows => `${rows.length}×${rows[0].length}`;
const turn = kernel => kernel.map(line => [...line].reverse()).reverse();
const sumUnder = (image, kernel, row, column) => {
  let sum = 0;
  kernel.forEach((line, r) => line.forEach((weight, c) => { sum += weight * image[row + r][column + c]; }));
  return sum;
};
// 1/9 says more than 0.11.
const weightText = weight => {
  const ninths = Math.round(9 * weight);
  if (Math.abs(9 * weight - ninths) < 1e-9 && ninths % 9) return `${number(ninths)}/9`;
  return number(weight, Math.abs(weight) < 100 ? 2 : 0);
};

export default {
  render({ model, el }) {
    const { root, say, refuse, refused } = stage(el, model, "Convolution: a kernel slides over an image");
    const blocks = model.get("data"), digits = bytes(blocks.digits), photograph = bytes(blocks.photograph);
    // Hundredths, so that what is shown is what is computed with.
    const square = (block, start, side) => filled(side, side, (r, c) => Math.round(block[start + side * r + c] / 2.55) / 100);
    const images = {
      "lecture's 5×5": LECTURE,
      "one bright pixel": filled(5, 5, (r, c) => Number(r === 2 && c === 2)),
      "photograph": square(photograph, 0, 48),
    };
    const ofDigits = filled(1, 10, (_, digit) => `digit ${digit}`)[0];
    ofDigits.forEach((name, digit) => { images[name] = square(digits, 784 * digit, 28); });
    images["blank, to draw on"] = filled(12, 12, () => 0);

    // Whether the pointer draws, with what, and where the pen is.
    let drawing = false, ink = 1, pen = [0, 0];

    const look = () => {
      const image = model.get("image"), plain = model.get("kernel"), turned = model.get("mode") === "convolution";
      const kernel = turned ? turn(plain) : plain;
      const rows = image.length - kernel.length + 1, columns = image[0].length - kernel[0].length + 1;
      // A smaller image may be here before the new position is.
      const row = Math.min(model.get("position")[0], rows - 1), column = Math.min(model.get("position")[1], columns - 1);
      return { image, plain, turned, kernel, rows, columns, row, column };
    };
    const go = (row, column) => change(model, { position: [row, column] });
    const speak = () => {
      const { image, kernel, row, column } = look();
      say(`Row ${row}, column ${column} of the map: ${number(sumUnder(image, kernel, row, column))}`);
    };
    const fits = (image, kernel) => {
      const fitting = kernel.length <= image.length && kernel[0].length <= image[0].length;
      refuse(fitting ? "" : `A kernel of ${sizeOf(kernel)} does not fit into an image of ${sizeOf(image)}.`);
      return fitting;
    };

    const chooseImage = choice("Image", [
      ...Object.keys(images).slice(0, 3).map(name => [name, name]),
      { group: "handwritten", options: ofDigits.map(name => [name, name]) },
      ["blank, to draw on", "blank, to draw on"], [OWN, OWN],
    ], name => {
      if (images[name] && fits(images[name], model.get("kernel"))) {
        walk.stop();
        drawing = name.startsWith("blank");
        pen = [0, 0];
        change(model, { image: images[name], position: [0, 0] });
        speak();
      }
      draw();
    });
    const chooseKernel = choice("Kernel", [...KERNELS.map(([name]) => [name, name]), [OWN, OWN]], name => {
      const [, kernel] = KERNELS.find(each => each[0] === name) || [];
      if (!kernel) kernelBoard.focus();
      else if (fits(model.get("image"), kernel)) change(model, { kernel });
      draw();
      speak();
    });
    const mode = radios("Compute the", ["cross-correlation", "convolution"].map(name => [name, name]), name => {
      change(model, { mode: name });
      speak();
    });
    const what = element("p", { class: "note" });

    // All pixels from one to another: a quick hand jumps over some.
    const paint = (from, to) => {
      const image = model.get("image").map(line => [...line]), steps = Math.max(...to.map((place, i) => Math.abs(place - from[i])));
      for (let i = 0; i <= steps; i++) {
        const [row, column] = to.map((place, side) => Math.round(place + ((from[side] - place) * i) / (steps || 1)));
        if (column in (image[row] || [])) image[row][column] = ink;
      }
      change(model, { image });
      speak();
    };
    const dip = (row, column) => { ink = model.get("image")[row][column] > 0.5 ? 0 : 1; };
    const imageBoard = matrix({
      beyond: true,
      point(row, column, how) {
        walk.stop();
        if (drawing) {
          const from = how === "drag" ? pen : [row, column];
          pen = [row, column];
          if (how === "press") dip(row, column);
          if (how === "key") draw();
          else paint(from, pen);
        } else {  // the window comes with its middle to the pixel, as near as it can
          const { kernel, rows, columns } = look();
          const inside = (place, count) => Math.min(count - 1, Math.max(0, place));
          go(inside(row - (kernel.length >> 1), rows), inside(column - (kernel[0].length >> 1), columns));
          speak();
        }
      },
      press(row, column) {
        dip(row, column);
        paint([row, column], [row, column]);
      },
    });
    const pencil = button("Draw on the image", () => { drawing = !drawing; draw(); });
    const how = element("p", { class: "note" }, "Drag to draw; or arrow keys and Space.");
    imageBoard.element.append(pencil, how);
    const kernelBoard = matrix({
      edit: (row, column, value) => {
        const kernel = model.get("kernel").map(line => [...line]);
        kernel[row][column] = value;
        change(model, { kernel });
        speak();
      },
    });
    const turnedBoard = matrix();
    const mapBoard = matrix({ point: (row, column) => { walk.stop(); go(row, column); } });
    const mapScale = element("div");
    mapBoard.element.append(mapScale);

    const walk = player({
      count: () => look().rows * look().columns,
      at: () => look().row * look().columns + look().column,
      go: i => {
        go(Math.floor(i / look().columns), i % look().columns);
        if (!walk.playing()) speak();
      },
      delay: () => (look().rows * look().columns > 49 ? 40 : 700),
    });
    const whole = tick("Show the whole map", value => change(model, { whole: value }));
    const sum = element("div", { class: "sum" });

    const after = (sign, ...content) =>
      element("div", { class: "pair" }, element("div", { class: "between", "aria-hidden": "true" }, sign), ...content);
    root.append(
      element("div", { class: "controls" }, chooseImage.element, chooseKernel.element, mode.element),
      refused, what,
      element("div", { class: "pictures" },
        imageBoard.element,
        after("∗", element("div", { class: "stack" }, kernelBoard.element, turnedBoard.element)),
        after("=", mapBoard.element)),
      element("div", { class: "controls" }, walk.element, whole.element),
      sum,
    );

    const drawSum = ({ image, kernel, row, column }) => {
      const exact = value => Math.abs(value - Number(value.toFixed(2))) < 1e-9;
      let rounded = false;
      const term = (weight, r, c) => {
        const pixel = image[row + r][column + c], product = pixel * weight;
        rounded ||= !exact(product);
        const factor = element("span", { class: "weight" }, result("weights", weight, weightText(weight)));
        return element("span", { class: product ? "term" : "term nothing" },
          element("span", {}, result("window", pixel), " · ", factor),
          element("b", {}, r + c ? element("i", {}, "+") : null, result("terms", product)));
      };
      const lines = kernel.map((line, r) => element("div", { class: "line" }, ...line.map((weight, c) => term(weight, r, c))));
      const total = sumUnder(image, kernel, row, column), line = kernel[0].length, many = line > 5;
      sum.replaceChildren(
        element("div", { class: "title" }, `Under the window: row ${row}, column ${column} of the map`),
        element("div", { class: many ? "" : "products", style: `--columns: ${line}; --term: ${line > 3 ? 3.9 : 5.2}rem` },
          ...lines),
        element("div", { class: "total" }, rounded || !exact(total) ? "≈ " : "= ", result("sum", total)),
      );
    };

    const draw = () => {
      const now = look(), { image, plain, turned, kernel, rows, columns, row, column } = now;
      const output = filled(rows, columns, (r, c) => sumUnder(image, kernel, r, c));
      const passed = (r, c) => model.get("whole") || r * columns + c <= row * columns + column;
      const [kernelName, , about] = KERNELS.find(each => same(each[1], plain)) || [OWN, , OWN_KERNEL];
      chooseImage.show(Object.keys(images).find(name => same(images[name], image)) || OWN);
      chooseKernel.show(kernelName);
      mode.show(model.get("mode"));
      whole.show(model.get("whole"));
      what.textContent = about + (turned ? " Convolution turns the kernel by 180° before it slides; nn.Conv2d does not." : "");
      pencil.setAttribute("aria-pressed", drawing);
      how.hidden = !drawing;

      const lowest = Math.min(0, ...image.flat()), highest = Math.max(1, ...image.flat());
      imageBoard.show({
        values: image, label: `image, ${sizeOf(image)}`, colour: grey(lowest, highest), still: !drawing, drawing,
        frame: [row, column, kernel.length, kernel[0].length], current: drawing ? pen : [row, column],
        note: (r, c) => (c - column in (kernel[r - row] || []) ? `×${weightText(kernel[r - row][c - column])}` : ""),
        describe: (r, c) => `row ${r}, column ${c}: ${number(image[r][c])}`,
      });
      kernelBoard.show({
        values: plain, label: `kernel, ${sizeOf(plain)}`, text: weightText,
        describe: (r, c) => `weight in row ${r}, column ${c}`,
      });
      turnedBoard.element.hidden = !turned;
      turnedBoard.show({ values: kernel, label: "↻ turned by 180°", text: weightText });

      // Weights that add up to more than nothing keep the image's brightness, times that; others tell plus from minus.
      const gain = kernel.flat().reduce((total, weight) => total + weight, 0), keeps = gain > 1e-9 && lowest === 0;
      const limit = Math.max(...output.flat().map(Math.abs)) || 1;
      const [low, high] = keeps ? [0, gain * highest] : [-limit, limit], colour = keeps ? grey(low, high) : signed(limit);
      mapBoard.show({
        values: output.map((line, r) => line.map((value, c) => (passed(r, c) ? value : null))), name: "output", colour,
        title: ["activation map, ", result("output_size", rows), "×", result("output_size", columns)],
        label: `activation map, ${sizeOf(output)}`, frame: [row, column, 1, 1], current: [row, column],
        describe: (r, c) => `row ${r}, column ${c}${passed(r, c) ? `: ${number(output[r][c])}` : ""}`,
      });
      mapScale.replaceChildren(rows > 7 || columns > 7 ? scale(low, high, colour) : "");
      drawSum(now);
    };
    connect(model, ["image", "kernel", "mode", "position", "whole"], draw);
    return walk.stop;
  },
};
