// LeNet: draw a digit, and see what every layer makes of it.
// Maps (or units), the side of a map, how many stand beside each other; then the layer in front and the side of what a
// unit sees of the image, and by how many pixels the fields of neighbours lie apart.
const LAYERS = {
  relu1: { count: 6, side: 28, across: 6, front: "conv1", sees: 5, step: 1, terms: 25 },
  pool1: { count: 6, side: 14, across: 6, front: "relu1", sees: 6, step: 2 },
  relu2: { count: 16, side: 10, across: 8, front: "conv2", sees: 14, step: 2, terms: 150 },
  pool2: { count: 16, side: 5, across: 8, front: "relu2", sees: 16, step: 4 },
  relu3: { count: 120, side: 1, across: 30, front: "fc1", terms: 400 },
  relu4: { count: 84, side: 1, across: 21, front: "fc2", terms: 120 },
};
const START = -2;  // where the first field begins: conv1 pads by two pixels
const titleOf = (name, { count, side, front }) => side > 1
  ? `${front.startsWith("conv") ? `${front}, then ReLU` : name}: ${count} maps of ${side}×${side}`
  : `${front}, then ReLU: ${count} units`;

// All maps of a layer in one picture with gaps between them, and the way from a unit to its place there and back.
const gapOf = layer => Number(layer.side > 1);
const tile = (maps, layer) => {
  const pitch = layer.side + gapOf(layer), picture = [];
  for (let row = 0; row < Math.ceil(layer.count / layer.across) * pitch - gapOf(layer); row++) {
    picture.push(Array.from({ length: layer.across * pitch - gapOf(layer) }, (_, column) => {
      const [map, r, c] = unitAt(layer, row, column);
      return r < layer.side && c < layer.side ? maps[(map * layer.side + r) * layer.side + c] : null;
    }));
  }
  return picture;
};
const unitAt = (layer, row, column) => {
  const pitch = layer.side + gapOf(layer);
  return [Math.floor(row / pitch) * layer.across + Math.floor(column / pitch), row % pitch, column % pitch];
};
const placeOf = (layer, map, row, column) => {
  const pitch = layer.side + gapOf(layer);
  return [Math.floor(map / layer.across) * pitch + row, (map % layer.across) * pitch + column];
};

// A soft pen on a line from one place to another: full within half a pixel or so, then fading, as MNIST's strokes are.
const stroke = (image, from, to, erase) => image.map((line, row) => line.map((old, column) => {
  const [down, right] = [to[0] - from[0], to[1] - from[1]], long = down ** 2 + right ** 2;
  const along = long && Math.min(1, Math.max(0, ((row - from[0]) * down + (column - from[1]) * right) / long));
  const soft = Math.min(1, Math.max(0, 1.9 - Math.hypot(row - from[0] - along * down, column - from[1] - along * right)));
  return Math.round(100 * (erase ? Math.min(old, 1 - soft) : Math.max(old, soft))) / 100;
}));
const BLANK = Array(28).fill(Array(28).fill(0));
// By how many pixels down and right to move an image so that the centre of its ink is at MNIST's, pixel 14 of 28; and how
// far that is possible without losing ink at the border.
const toTheMiddle = image => [image, image[0].map((_, column) => image.map(line => line[column]))].map(lines => {
  const ink = lines.map(line => line.reduce((sum, value) => sum + value, 0)), all = ink.reduce((sum, value) => sum + value, 0);
  const wanted = Math.round(14 - ink.reduce((sum, value, place) => sum + value * place, 0) / all);
  return { wanted, possible: Math.min(27 - ink.findLastIndex(Boolean), Math.max(-ink.findIndex(Boolean), wanted)) };
});

export default {
  render({ model, el }) {
    const { root, say, refuse, refused } = stage(el, model, "LeNet reads what you draw");
    const data = model.get("data");
    const networks = networksOf(model);
    // Whether the pen erases, where it is when the keyboard moves it, and where a stroke has come to.
    let erase = false, pen = null, last, middle;

    const pixels = () => {
      const flat = digitOf(model.get("misread") ? data.misread : data.digits, model.get("digit"));
      return model.get("image") || BLANK.map((line, row) => line.map((_, column) => flat[28 * row + column]));
    };
    const paint = (from, to) => change(model, { image: stroke(pixels(), from, to, erase) });
    const heard = () => {
      const probabilities = softmax(networks[model.get("network")].run(pixels().flat()).fc3), [first, second] = ranked(probabilities);
      say(`LeNet reads ${first}, ${percent(probabilities[first])}, then ${second}, ${percent(probabilities[second])}`);
    };

    const choose = choice("Digit", [
      { group: "from the test images", options: [...Array(10).keys()].map(digit => [`right ${digit}`, `a ${digit}`]) },
      { group: "which the plain network misreads", options: [...Array(10).keys()].map(digit => [`misread ${digit}`, `a ${digit}, misread`]) },
      ["own", "your own drawing"],
    ], value => {
      const [kind, digit] = value.split(" ");
      change(model, kind === "own" ? { image: BLANK } : { image: null, misread: kind === "misread", digit: Number(digit) });
      heard();
    });
    const weights = radios("Weights, trained on images", [["plain", "as they are"], ["augmented", "distorted at random"]], network => {
      change(model, { network });
      heard();
    });
    const tool = radios("Pen", [["ink", "ink"], ["erase", "eraser"]], name => { erase = name === "erase"; draw(); });
    const clear = button("Clear", () => { change(model, { image: BLANK }); heard(); });
    const centre = button("Centre it as MNIST did", () => {
      const image = pixels();
      if (!image.flat().some(Boolean)) return refuse("Nothing is drawn yet: there is no ink to bring to the middle.");
      const ways = toTheMiddle(image), [down, right] = ways.map(({ possible }) => possible);
      change(model, { image: image.map((line, row) => line.map((_, column) => image[row - down]?.[column - right] ?? 0)) });
      if (ways.some(({ wanted, possible }) => wanted !== possible)) {
        refuse("Its centre cannot get to the middle without cutting off ink: MNIST's digits are no larger than the dashed square.");
      }
      heard();
    });
    const board = matrix({
      beyond: true,
      // The pointer comes from cell to cell; through the middles between cells a slanted stroke gets no stairs.
      point: (row, column, how) => {
        pen = how === "key" ? [row, column] : null;
        if (how === "key") return draw();
        const now = how === "press" ? [row, column] : [(last[0] + row) / 2, (last[1] + column) / 2];
        paint(how === "press" ? now : middle, now);
        [last, middle] = [[row, column], now];
        heard();
      },
      lift: () => { paint(middle, last); heard(); },
      press: (row, column) => { paint([row, column], [row, column]); heard(); },
    });
    const answers = bars("probabilities", "probabilities", true);
    const answer = element("p", { class: "answer" });
    const layers = Object.entries(LAYERS).map(([name, layer]) => {
      const at = () => { const unit = model.get("unit"); return unit && unit[0] === name ? placeOf(layer, ...unit.slice(1)) : null; };
      const tiles = matrix({
        point: (row, column, how) => {
          const old = at() || [0, 0], fits = (r, c) => unitAt(layer, r, c).slice(1).every(place => place < layer.side);
          // Arrow keys step over the gaps between maps.
          if (how === "key" && !fits(row, column)) [row, column] = [2 * row - old[0], 2 * column - old[1]];
          if (!fits(row, column) || unitAt(layer, row, column)[0] >= layer.count) return;
          pen = null;  // the frame shows what the unit sees
          change(model, { unit: [name, ...unitAt(layer, row, column)] });
          say(explained.textContent);
        },
      });
      tiles.element.classList.add(name);
      return { name, layer, at, tiles };
    });
    const explained = element("p", { class: "explained" });

    root.classList.add("lenet");
    board.element.classList.add("drawn");
    root.append(
      element("div", { class: "controls" }, choose.element, weights.element),
      element("div", { class: "pictures" }, board.element, answers.element),
      answer,
      element("div", { class: "controls" }, tool.element, clear, centre),
      refused,
      element("p", { class: "note" }, "Draw as large as the dashed square: MNIST's digits were scaled to 20×20 pixels, and moved so that the centre of their ink is in the middle. By keyboard: arrow keys move the pen, Space draws."),
      explained,
      element("div", { class: "layers" }, ...layers.map(each => each.tiles.element)),
    );

    const drawExplained = out => {
      const unit = model.get("unit");
      if (!unit) return explained.replaceChildren("Choose a cell of a map: here stands where its number comes from, and on the image what it sees.");
      const [name, map, row, column] = unit, layer = LAYERS[name], value = result("activation", out[name][(map * layer.side + row) * layer.side + column]);
      const where = layer.side > 1 ? `, map ${map}, row ${row}, column ${column}: ` : `, unit ${map}: `;
      const within = [row, column].map(place => Math.min(28, START + layer.step * place + layer.sees) - Math.max(0, START + layer.step * place));
      const framed = within.every(side => side === layer.sees) ? " pixels of the image, those in the frame." : ` cells: the ${within.join("×")} pixels in the frame, and padding beside them.`;
      const sees = layer.sees ? [" It sees ", result("field", layer.sees), "×", result("field", layer.sees), framed] : [" It sees the whole image."];
      if (!layer.terms) {
        const window = [0, 1].flatMap(r => [0, 1].map(c => out[layer.front][(map * 2 * layer.side + 2 * row + r) * 2 * layer.side + 2 * column + c]));
        const four = window.flatMap((each, i) => [i ? ", " : "", result("window", each)]);
        return explained.replaceChildren(element("b", {}, name), `${where}the largest of `, ...four, " is ", value, ".", ...sees);
      }
      const before = out[layer.front][(map * layer.side + row) * layer.side + column];
      const bias = networks[model.get("network")].biases[layer.front][map];
      explained.replaceChildren(
        element("b", {}, layer.front), where, result("terms", layer.terms), " products of a weight and a number add up to ", result("products", before - bias),
        ", plus the bias ", result("bias", bias), " makes ", result("before", before), ". ReLU ", before > 0 ? "leaves " : "makes that ", value, ".", ...sees,
      );
    };

    const draw = () => {
      const image = pixels(), own = model.get("image"), unit = model.get("unit"), out = networks[model.get("network")].run(image.flat());
      const probabilities = softmax(out.fc3), [first, second] = ranked(probabilities);
      choose.show(own ? "own" : `${model.get("misread") ? "misread" : "right"} ${model.get("digit")}`);
      weights.show(model.get("network"), name => networks[name]);
      tool.show(erase ? "erase" : "ink");
      const { sees, step } = unit ? LAYERS[unit[0]] : {};
      const [top, left] = unit ? [START + step * unit[2], START + step * unit[3]] : [];
      const [from, to] = [Math.max(0, top), Math.max(0, left)];
      board.show({
        values: image, label: "image, 28×28", colour: grey(0, 1), drawing: true, current: pen,
        frame: pen ? [...pen, 1, 1] : sees ? [from, to, Math.min(28, top + sees) - from, Math.min(28, left + sees) - to] : null,
        describe: (row, column) => `row ${row}, column ${column}: ${number(image[row][column])}`,
      });
      answers.show(out.fc3);
      answer.replaceChildren(
        "LeNet reads ", element("b", {}, result("answers", first, `${first}`)), " (", result("best", probabilities[first], percent(probabilities[first])),
        "), then ", element("b", {}, result("answers", second, `${second}`)), " (", result("best", probabilities[second], percent(probabilities[second])), "). ",
        !own ? `The label says ${model.get("digit")}.` : own.flat().some(Boolean) ? "" : "Nothing is drawn, but the ten still add up to 100%.",
      );
      for (const { name, layer, at, tiles } of layers) {
        const limit = Math.max(...out[name]);
        tiles.show({
          values: tile(out[name], layer), label: titleOf(name, layer), colour: grey(0, limit), largest: 0, current: at() || [0, 0], frame: at() && [...at(), 1, 1],
          describe: (row, column) => {
            const [map, r, c] = unitAt(layer, row, column);
            return `${layer.side > 1 ? `map ${map}, row ${r}, column ${c}` : `unit ${map}`}: ${number(out[name][(map * layer.side + r) * layer.side + c])}`;
          },
        });
      }
      drawExplained(out);
    };
    connect(model, ["digit", "misread", "image", "network", "unit", "data"], draw);
  },
};
