// Invariances: a digit is moved, turned, resized, stretched or sheared, and two networks say what it is.
// Name, what it does, from, to, step, the value that changes nothing, and the unit.
const SLIDERS = [
  ["right", "Move right", -14, 14, 1, 0, " px"],
  ["down", "Move down", -14, 14, 1, 0, " px"],
  ["rotate", "Rotate", -180, 180, 5, 0, "°"],
  ["scale", "Scale", 0.2, 2, 0.05, 1, " times"],
  ["stretch", "Stretch", 0.2, 3, 0.1, 1, " times"],
  ["shear", "Shear", -70, 70, 5, 0, "°"],
];

// As helpers.transformations.affine: where each pixel of the result comes from, and what lies between pixels there.
const affine = (image, { right, down, rotate, scale, stretch, shear }) => {
  const turn = (rotate * Math.PI) / 180, cos = Math.cos(turn) / scale, sin = Math.sin(turn) / scale, lean = Math.tan((shear * Math.PI) / 180);
  const pixel = (row, column) => (row >= 0 && row < 28 && column >= 0 && column < 28 ? image[28 * row + column] : 0);
  return image.map((_, i) => {
    const x = (i % 28) - 13.5 - right, y = Math.floor(i / 28) - 13.5 - down;
    const back = sin * x + cos * y;
    const column = (cos * x - sin * y + lean * back) / stretch + 13.5, row = back + 13.5;
    const c = Math.floor(column), r = Math.floor(row), across = column - c, along = row - r;
    return (1 - along) * ((1 - across) * pixel(r, c) + across * pixel(r, c + 1)) + along * ((1 - across) * pixel(r + 1, c) + across * pixel(r + 1, c + 1));
  });
};

export default {
  render({ model, el }) {
    const { root, say } = stage(el, model, "Invariances: how far a digit may be moved, turned, resized, stretched and sheared");
    const data = model.get("data");
    const networks = networksOf(model);
    const wanted = name => ["both", name].includes(model.get("network"));
    const names = () => Object.keys(networks).filter(wanted);
    const amounts = () => {
      const [right, down] = model.get("translate");
      return { right, down, ...Object.fromEntries(["rotate", "scale", "stretch", "shear"].map(name => [name, model.get(name)])) };
    };
    const digit = () => digitOf(data.digits, model.get("digit"));
    const set = (name, value, more) => {
      const { right, down } = { ...amounts(), [name]: value };
      change(model, { ...(name === "right" || name === "down" ? { translate: [right, down] } : { [name]: value }), ...more });
      heard();
    };
    const heard = () => {
      const image = affine(digit(), amounts());
      say(names().map(name => {
        const probabilities = softmax(networks[name].run(image).fc3), [best] = ranked(probabilities);
        return `${name}: ${best}, ${percent(probabilities[best])}`;
      }).join("; "));
    };

    const choose = choice("Digit", [...Array(10).keys()].map(each => [each, `a ${each}`]), value => { change(model, { digit: Number(value) }); heard(); });
    const which = radios("Network", [["both", "both"], ["plain", "plain"], ["augmented", "augmented"]], network => { change(model, { network }); heard(); });
    let held;
    const board = matrix({
      beyond: true,
      // A drag takes the digit along, an arrow key moves it by a pixel.
      point: (row, column, how) => {
        const { right, down } = amounts(), inside = value => Math.min(14, Math.max(-14, value));
        if (how === "press") held = [row - down, column - right];
        if (how === "key") held = [14 - down, 14 - right];
        const translate = [inside(column - held[1]), inside(row - held[0])];
        if (how === "press" || (translate[0] === right && translate[1] === down)) return;
        change(model, { translate, moving: Math.abs(translate[0] - right) >= Math.abs(translate[1] - down) ? "right" : "down" });
        heard();
      },
    });
    const back = button("Back to the original", () => { change(model, { translate: [0, 0], rotate: 0, scale: 1, stretch: 1, shear: 0 }); heard(); });
    board.element.append(back);
    const answers = ["plain", "augmented"].map(name => [name, bars(`${name} network`, `${name}_probabilities`)]);
    const moving = radios("What to change", SLIDERS.map(([name, text]) => [name, text]), name => change(model, { moving: name }));
    const sliders = SLIDERS.map(([name, text, min, max, step, , unit]) => [name, slider(text, { min, max, step }, value => set(name, value), value => number(value) + unit)]);
    const strips = element("div", { class: "strips" });

    root.classList.add("invariances");
    root.append(
      element("div", { class: "controls" }, choose.element, which.element),
      element("div", { class: "pictures" }, board.element, ...answers.map(([, each]) => each.element)),
      moving.element,
      element("div", {}, ...sliders.map(([, each]) => each.element), strips),
    );

    // The answers over the whole range of the slider do not change while it moves, so they are kept until they would.
    const kept = {};
    const over = (name, [moved, , min, max, step]) => {
      const others = JSON.stringify([model.get("digit"), moved, { ...amounts(), [moved]: 0 }]);
      if (kept[name]?.others !== others) {
        const values = Array.from({ length: Math.round((max - min) / step) + 1 }, (_, i) => min + step * i);
        kept[name] = { others, values, answers: values.map(value => ranked(networks[name].run(affine(digit(), { ...amounts(), [moved]: value })).fc3)[0]) };
      }
      return kept[name];
    };
    const drawStrip = (name, slide) => {
      if (!networks[name]) return [element("p", {}, element("b", {}, name), ": still loading"), element("div", { class: "track" }, element("div", { class: "strip" }, element("i", { class: "wrong" })))];
      const { values, answers } = over(name, slide), [moved, , min, max, , nothing, unit] = slide, label = model.get("digit");
      const start = values.findIndex(value => Math.abs(value - nothing) < 1e-9), wrong = answer => answer !== label;
      const first = answers.slice(0, start + 1).findLastIndex(wrong) + 1, after = answers.slice(start).findIndex(wrong);
      const last = after < 0 ? answers.length - 1 : start + after - 1;
      // Neighbours with the same answer are one piece, with the answer written in it where there is room.
      const pieces = [];
      answers.forEach((answer, i) => { if (i && answer === answers[i - 1]) pieces[pieces.length - 1][1]++; else pieces.push([answer, 1]); });
      const strip = element("div", { class: "strip", "data-value": `${name}_answers`, "aria-hidden": "true", style: `margin:0 ${-50 / (values.length - 1)}%` },
        ...pieces.map(([answer, count]) => element("i", { class: wrong(answer) ? "wrong" : null, style: `flex-grow:${count}` }, count / values.length > 0.05 ? `${answer}` : null)));
      strip.numbers = answers;
      const limit = i => [result(`${name}_range`, values[i]), unit];
      return [
        element("p", {}, element("b", {}, name), ...(first > last ? [": wrong already at ", number(nothing), unit] : [": correct from ", ...limit(first), " to ", ...limit(last)])),
        element("div", { class: "track" }, strip, element("u", { style: `left:${(100 * (amounts()[moved] - min)) / (max - min)}%` })),
      ];
    };
    const draw = () => {
      const now = amounts(), image = affine(digit(), now), slide = SLIDERS.find(([name]) => name === model.get("moving"));
      choose.show(model.get("digit"));
      which.show(model.get("network"), name => name === "both" || networks[name]);
      moving.show(model.get("moving"));
      board.show({
        values: Array.from({ length: 28 }, (_, row) => image.slice(28 * row, 28 * row + 28)), label: "the digit: drag it", name: "image", colour: grey(0, 1), drawing: true,
        current: [14, 14], describe: () => `moved ${number(now.right)} px to the right, ${number(now.down)} px down`,
      });
      for (const [name, { element: box, show }] of answers) {
        box.hidden = !wanted(name);
        if (!box.hidden) show(networks[name]?.run(image).fc3);
      }
      for (const [name, each] of sliders) { each.element.hidden = name !== slide[0]; each.show(now[name]); }
      strips.replaceChildren(...["plain", "augmented"].filter(wanted).flatMap(name => drawStrip(name, slide)));
    };
    connect(model, ["digit", "translate", "rotate", "scale", "stretch", "shear", "moving", "network", "data"], draw);
  },
};
