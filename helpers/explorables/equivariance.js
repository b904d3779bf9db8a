// Equivariance: shift the image and apply a layer, or apply the layer and shift its map, and compare.
const REACH = 8;
const NOTHING = 1e-9;  // what floating-point numbers may differ by
const SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]];
const move = (map, down, right) => map.map((line, r) => line.map((_, c) => (map[r - down] || [])[c - right] ?? 0));
const subtract = (one, other) => one.map((line, r) => line.map((value, c) => Math.abs(value - other[r][c])));
const length = (map, [top, left, rows, columns]) => Math.hypot(...map.slice(top, top + rows).flatMap(line => line.slice(left, left + columns)));
const count = (map, [top, left, rows, columns]) =>
  map.slice(top, top + rows).flatMap(line => line.slice(left, left + columns)).filter(value => value > NOTHING).length;

const convolve = (image, kernel, { padding = 0, stride = 1, bias = 0 } = {}) => {
  const places = side => Math.floor((side + 2 * padding - kernel.length) / stride) + 1;
  return filled(places(image.length), places(image[0].length), (row, column) => {
    let sum = bias;
    kernel.forEach((line, r) => line.forEach((weight, c) => {
      sum += weight * ((image[row * stride + r - padding] || [])[column * stride + c - padding] ?? 0);
    }));
    return sum;
  });
};
const pool = map => filled(Math.floor(map.length / 2), Math.floor(map[0].length / 2),
  (r, c) => Math.max(map[2 * r][2 * c], map[2 * r][2 * c + 1], map[2 * r + 1][2 * c], map[2 * r + 1][2 * c + 1]));
const relu = map => map.map(line => line.map(value => Math.max(0, value)));

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Equivariance: does the map shift with the image?");
    const { digits, photograph, lenet_plain: weights } = model.get("data");
    const pixels = (block, start, side) => filled(side, side, (r, c) => block[start + side * r + c] / 255);
    const images = {};
    for (let digit = 0; digit < 10; digit++) images[`digit ${digit}`] = pixels(bytes(digits), 784 * digit, 28);
    images.photograph = pixels(bytes(photograph), 0, 48);
    // The first convolution: six kernels of 5×5, then six biases.
    const first = halves(new DataView(weights.buffer, weights.byteOffset, 2 * (6 * 25 + 6)));
    const firstStage = image => {
      const channel = model.get("channel"), kernel = filled(5, 5, (r, c) => first[25 * channel + 5 * r + c]);
      return pool(relu(convolve(image, kernel, { padding: 2, bias: first[150 + channel] })));
    };
    // What each is called, the layer, its stride, and the cells at each side of its map that padding reaches.
    const operations = {
      "convolution": ["convolution 3×3", image => convolve(image, SOBEL), 1, 0],
      "convolution, padding 1": ["convolution 3×3, padded with zeros", image => convolve(image, SOBEL, { padding: 1 }), 1, 1],
      "convolution, stride 2": ["convolution 3×3, stride 2", image => convolve(image, SOBEL, { stride: 2 }), 2, 0],
      "max pooling, stride 2": ["max pooling 2×2, stride 2", pool, 2, 0],
      "LeNet's first stage": ["LeNet's first stage, trained", firstStage, 2, 1],
    };

    const look = () => {
      const image = images[model.get("image")], down = model.get("down"), right = model.get("right");
      const [, layer, stride, border] = operations[model.get("operation")];
      const movedImage = move(image, down, right), moved = layer(movedImage), still = layer(image);
      const start = by => border + Math.max(0, Math.ceil(by / stride)), end = by => border - Math.min(0, Math.floor(by / stride));
      const inside = [start(down), start(right), still.length - start(down) - end(down), still[0].length - start(right) - end(right)];
      // Half a cell is nothing that a map can be shifted by: then the best of the nearest shifts counts.
      const nearest = by => [...new Set([Math.floor(by / stride), Math.ceil(by / stride)])];
      const ways = nearest(down).flatMap(rows => nearest(right).map(columns => {
        const shifted = move(still, rows, columns), difference = subtract(moved, shifted);
        return { by: [rows, columns], shifted, difference, size: length(difference, inside) };
      }));
      const best = ways.reduce((one, other) => (other.size < one.size ? other : one));
      return { image, down, right, stride, movedImage, moved, inside, ...best };
    };

    const attempt = values => {
      change(model, values);
      say(verdict.textContent);
    };
    const within = by => Math.min(REACH, Math.max(-REACH, by));
    const chooseImage = choice("Image", [
      { group: "handwritten digits", options: filled(1, 10, (_, i) => [`digit ${i}`, `a ${i}`])[0] }, ["photograph", "photograph"],
    ], image => attempt({ image }));
    const chooseLayer = choice("Layer", Object.entries(operations).map(([name, [text]]) => [name, text]), operation => attempt({ operation }));
    const channel = stepper("Its map", { min: 0, max: 5 }, value => attempt({ channel: value }));
    const down = stepper("Shift down", { min: -REACH, max: REACH }, value => attempt({ down: value }));
    const right = stepper("Shift to the right", { min: -REACH, max: REACH }, value => attempt({ right: value }));

    // Where the pointer took hold of the image; the arrow keys move its middle.
    let hold;
    const movedBoard = matrix({
      beyond: true,
      point: (row, column, how) => {
        const middle = images[model.get("image")].length / 2;
        if (how === "press") hold = [row - model.get("down"), column - model.get("right")];
        const [top, left] = how === "key" ? [middle, middle] : hold;
        attempt({ down: within(row - top), right: within(column - left) });
      },
    });
    const imageBoard = matrix(), movedMap = matrix(), shiftedMap = matrix(), differenceBoard = matrix();
    const mapScale = element("div"), differenceScale = element("div");
    differenceBoard.element.append(differenceScale);
    const verdict = element("div", { class: "comparison" });
    const way = (words, image, map) => element("div", { class: "way" }, element("div", { class: "title" }, words),
      element("div", { class: "pictures" }, image.element, element("div", { class: "between", "aria-hidden": "true" }, "→"), map.element));
    root.append(
      element("div", { class: "controls" }, chooseImage.element, chooseLayer.element, channel.element, down.element, right.element),
      element("div", { class: "pictures ways" },
        element("div", {}, way("Shift, then apply the layer", movedBoard, movedMap), way("Apply the layer, then shift", imageBoard, shiftedMap), mapScale),
        element("div", {}, differenceBoard.element)),
      verdict,
    );

    const draw = () => {
      const { image, down: rows, right: columns, stride, movedImage, moved, inside, by, shifted, difference, size } = look();
      chooseImage.show(model.get("image"));
      chooseLayer.show(model.get("operation"));
      channel.element.hidden = model.get("operation") !== "LeNet's first stage";
      channel.show(model.get("channel"));
      down.show(rows);
      right.show(columns);

      const middle = image.length / 2, where = `${number(rows)} down, ${number(columns)} to the right`;
      movedBoard.show({
        values: movedImage, label: "image, shifted", title: "image: drag it", colour: grey(0, 1), current: [middle + rows, middle + columns], drawing: true,
        describe: () => where,
      });
      imageBoard.show({ values: image, label: "image", colour: grey(0, 1) });
      const values = [...moved.flat(), ...shifted.flat()], limit = Math.max(...values.map(Math.abs));
      const colour = Math.min(...values) < 0 ? signed(limit) : grey(0, limit);
      movedMap.show({ values: moved, name: "moved", label: "its map", colour, frame: inside });
      shiftedMap.show({
        values: shifted, name: "shifted", label: "its map, shifted", colour, frame: inside,
        title: ["its map, shifted ", result("map_shift", by[0]), ", ", result("map_shift", by[1])],
      });
      mapScale.replaceChildren(scale(Math.min(...values) < 0 ? -limit : 0, limit, colour));
      const largest = Math.max(...difference.flat()), shades = grey(0, largest > NOTHING ? largest : 1);
      differenceBoard.show({ values: difference, name: "difference", label: "difference", colour: shades, frame: inside });
      differenceScale.replaceChildren(largest > NOTHING ? scale(0, largest, shades) : "");

      const cells = inside[2] * inside[3], all = moved.length * moved[0].length;
      const inner = count(difference, inside), outer = count(difference, [0, 0, moved.length, moved[0].length]) - inner;
      const halfway = [rows, columns].some(each => each % stride);
      verdict.replaceChildren(
        element("p", {}, element("b", {}, inner ? "Not equivariant for this shift: " : "Equivariant for this shift: "), "inside the frame, ",
          result("inside_differ", inner), " of ", result("inside", cells), " cells differ; length of the difference, as a share of the map's: ",
          result("error", size / (length(moved, inside) || 1)), "."),
        ...(all === cells ? [] : [element("p", {}, "At the border, outside the frame, ", result("border_differ", outer), " of ", result("border", all - cells), " cells differ.")]),
        element("p", { class: "note" }, `The image is shifted ${where}${stride === 1 ? ", and so is the map." : halfway
          ? `: ${number(rows / stride)} and ${number(columns / stride)} cells of the map, but a map shifts by whole cells. The best of the nearest is shown.`
          : `: ${number(rows / stride)} and ${number(columns / stride)} cells of the map.`}`),
      );
    };
    connect(model, ["image", "operation", "channel", "down", "right"], draw);
  },
};
