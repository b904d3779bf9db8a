// Training: a recorded training, step by step.
const SHAPES = { linear: [10, 28], cnn: [8, 7] };  // images, and their side
const NAMES = { linear: "linear classifier", cnn: "convolutional network" };
const WIDTH = 340, HEIGHT = 130, LEFT = 44, RIGHT = 20, BOTTOM = 24;  // of a drawing, and of its margins
const percent = value => `${number(100 * value, 1)}%`;
// data.py says how the block is laid out.
const decode = (view, [images, side]) => {
  const weights = images * side * side, count = view.byteLength / (16 + weights / 2);
  const row = i => [0, 1, 2, 3].map(k => view.getFloat32(16 * i + 4 * k, true));
  return Array.from({ length: count }, (_, i) => {
    const [step, loss, accuracy, limit] = row(i);
    const weight = k => {
      const pair = view.getUint8(16 * count + (i * weights + k - (k % 2)) / 2), level = (k % 2 ? pair & 15 : pair >> 4) - 8;
      return limit * Math.sign(level) * (level / 7) ** 2;
    };
    const line = start => Array.from({ length: side }, (_, column) => weight(start + column));
    const image = n => Array.from({ length: side }, (_, row) => line((n * side + row) * side));
    return { step, loss, accuracy, limit, image };
  });
};
// Loss or accuracy of both networks against the recorded steps, evenly spaced.
const curves = (title, key, recordings, top, text) => {
  const { length } = recordings.linear;
  const x = i => LEFT + ((WIDTH - LEFT - RIGHT) * i) / (length - 1), y = value => 8 + (HEIGHT - BOTTOM - 8) * (1 - value / top);
  const ticks = [0, 2, 10, 60, 200, 1000].map(step => [step, recordings.linear.findIndex(each => each.step === step)]);
  const line = name => {
    const d = recordings[name].map((each, i) => `${i ? "L" : "M"}${x(i)} ${y(each[key])}`).join("");
    return svg("path", { class: "curve", "data-network": name, d });
  };
  const lines = Object.keys(recordings).map(line), now = svg("path", { class: "now" }), dot = svg("circle", { r: 5 });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    ...[0, top].map(value => svg("text", { x: LEFT - 6, y: y(value) + 4, class: "left" }, text(value))),
    ...ticks.map(([step, i]) => svg("text", { x: x(i), y: HEIGHT - 6, class: "below" }, String(step))),
    svg("path", { class: "axes", d: `M${LEFT} ${y(top)}V${y(0)}H${WIDTH - RIGHT}` }), now, ...lines, dot);
  return {
    element: element("div", { class: "curves" }, element("div", { class: "title" }, title), drawing),
    show: (network, i) => {
      lines.forEach(each => each.classList.toggle("other", each.dataset.network !== network));
      now.setAttribute("d", `M${x(i)} ${y(top)}V${y(0)}`);
      dot.setAttribute("cx", x(i));
      dot.setAttribute("cy", y(recordings[network][i][key]));
    },
  };
};

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Training: weights, loss and accuracy at each recorded step");
    const blocks = model.get("data");
    const decoded = ([name, shape]) => [name, decode(blocks[`training_${name}`], shape)];
    const recordings = Object.fromEntries(Object.entries(SHAPES).map(decoded));
    const recording = () => recordings[model.get("network")];
    const at = () => recording().findIndex(each => each.step === model.get("step"));
    const here = () => {
      const { step, loss, accuracy } = recording()[at()];
      return `Step ${step}: loss ${number(loss)}, ${percent(accuracy)} right`;
    };
    const go = i => {
      change(model, { step: recording()[i].step });
      if (!walk.playing()) say(here());
    };
    const network = radios("Network", Object.entries(NAMES), name => {
      change(model, { network: name });
      say(`${NAMES[name]}. ${here()}`);
    });
    const walk = player({ count: () => recording().length, at, go });
    const stepAt = i => String(recording()[i].step);
    const scrub = slider("Step", { min: 0, max: recording().length - 1, step: 1 }, i => { walk.stop(); go(i); }, stepAt);
    const sameScale = tick("Same colours for all steps", value => change(model, { same_scale: value }));
    const highest = Math.max(...Object.values(recordings).flat().map(({ loss }) => loss));
    const graphs = [
      curves("loss", "loss", recordings, Math.ceil(2 * highest) / 2, number),
      curves("accuracy", "accuracy", recordings, 1, percent),
    ];
    const images = Array.from({ length: 10 }, () => matrix());
    const pictures = element("div", { class: "weights" }, ...images.map(image => image.element));
    const bar = element("div"), sentence = element("p", { class: "reached" }), key = element("p", { class: "note" });
    root.append(
      network.element,
      element("div", { class: "controls" }, scrub.element, walk.element),
      sentence, pictures,
      element("div", { class: "pictures" }, bar, sameScale.element),
      element("div", { class: "pictures" }, ...graphs.map(graph => graph.element)),
      key,
    );

    const draw = () => {
      const name = model.get("network"), all = recording(), i = at(), now = all[i], [count] = SHAPES[name];
      const limit = model.get("same_scale") ? Math.max(...all.map(each => each.limit)) : now.limit, colour = signed(limit);
      network.show(name);
      scrub.show(i);
      sameScale.show(model.get("same_scale"));
      sentence.replaceChildren(
        "After ", result("step", now.step), now.step === 1 ? " step: loss " : " steps: loss ", result("loss", now.loss), ", ",
        result("accuracy", now.accuracy, percent(now.accuracy)), " of the digits read correctly",
      );
      pictures.classList.toggle("filters", name === "cnn");
      images.forEach((image, n) => {
        image.element.hidden = n >= count;
        const label = name === "cnn" ? `filter ${n}` : `weights of ${n}`;
        if (n < count) image.show({ values: now.image(n), name: "weights", label, title: String(n), colour, largest: 0 });
      });
      bar.replaceChildren(scale(-limit, limit, colour));
      graphs.forEach(graph => graph.show(name, i));
      const other = NAMES[name === "cnn" ? "linear" : "cnn"];
      key.textContent = `Solid: ${NAMES[name]}. Dashed: ${other}. Under the curves: the step; more were recorded at the start.`;
    };
    connect(model, ["network", "step", "same_scale"], draw);
    return walk.stop;
  },
};
