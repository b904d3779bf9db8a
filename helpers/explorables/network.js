// LeNet in the page (helpers.lenet.LeNet, with weights of helpers.trained), and its answers as bars.
// Maps lie in one array: map after map, row after row.

// What is 0 adds nothing to the sums, and much is: paper, and what a ReLU has cut. So each other number is added to the sums
// that it is part of.
const convolve = (maps, side, weight, bias, padding) => {
  const count = maps.length / side ** 2, wide = side + 2 * padding - 4, output = new Float64Array(bias.length * wide * wide);
  bias.forEach((start, filter) => output.fill(start, filter * wide * wide, (filter + 1) * wide * wide));
  for (let i = 0; i < maps.length; i++) {
    const value = maps[i];
    if (value === 0) continue;
    const map = Math.floor(i / side ** 2), row = Math.floor(i / side) % side + padding, column = i % side + padding;
    const [top, bottom] = [Math.max(0, row + 1 - wide), Math.min(4, row)], [left, right] = [Math.max(0, column + 1 - wide), Math.min(4, column)];
    for (let filter = 0; filter < bias.length; filter++) for (let r = top; r <= bottom; r++) {
      const from = ((filter * count + map) * 5 + r) * 5, to = (filter * wide + row - r) * wide + column;
      for (let c = left; c <= right; c++) output[to - c] += value * weight[from + c];
    }
  }
  return output;
};
const relu = maps => {
  const output = new Float64Array(maps.length);
  for (let i = 0; i < maps.length; i++) if (maps[i] > 0) output[i] = maps[i];
  return output;
};
// The largest of each 2×2 window. The rows of all maps lie below each other, an even number each, so maps need no care.
const pool = (maps, side) => {
  const half = side / 2, output = new Float64Array(maps.length / 4);
  for (let i = 0; i < output.length; i++) {
    const from = 2 * Math.floor(i / half) * side + 2 * (i % half);
    output[i] = Math.max(maps[from], maps[from + 1], maps[from + side], maps[from + side + 1]);
  }
  return output;
};
const dense = (inputs, weight, bias) => {
  let next = 0;
  return Float64Array.from(bias, sum => {
    for (let i = 0; i < inputs.length; i++) sum += inputs[i] * weight[next++];
    return sum;
  });
};

// From a block of weights (data.py says in which order): {run, biases}. run(image) gives what each layer puts out, under
// its name; image holds 784 numbers from 0 to 1.
const lenet = view => {
  const numbers = halves(view), weights = {}, biases = {};
  let start = 0;
  for (const [name, inputs, outputs] of [["conv1", 25, 6], ["conv2", 150, 16], ["fc1", 400, 120], ["fc2", 120, 84], ["fc3", 84, 10]]) {
    weights[name] = numbers.subarray(start, start += inputs * outputs);
    biases[name] = numbers.subarray(start, start += outputs);
  }
  const run = image => {
    const out = {};
    out.conv1 = convolve(Float64Array.from(image), 28, weights.conv1, biases.conv1, 2);
    out.relu1 = relu(out.conv1);
    out.pool1 = pool(out.relu1, 28);
    out.conv2 = convolve(out.pool1, 14, weights.conv2, biases.conv2, 0);
    out.relu2 = relu(out.conv2);
    out.pool2 = pool(out.relu2, 10);
    out.fc1 = dense(out.pool2, weights.fc1, biases.fc1);
    out.relu3 = relu(out.fc1);
    out.fc2 = dense(out.relu3, weights.fc2, biases.fc2);
    out.relu4 = relu(out.fc2);
    out.fc3 = dense(out.relu4, weights.fc3, biases.fc3);
    return out;
  };
  return { run, biases };
};
// The figure's networks by name. A page may bring the weights of one later; who draws when "data" changes finds it here.
const networksOf = model => {
  const networks = {};
  const take = () => {
    for (const name of ["plain", "augmented"]) {
      const weights = model.get("data")[`lenet_${name}`];
      if (weights) networks[name] ||= lenet(weights);
    }
  };
  model.on("change:data", take);
  take();
  return networks;
};
const softmax = logits => {
  const powers = Array.from(logits, logit => Math.exp(logit - Math.max(...logits))), sum = powers.reduce((a, b) => a + b);
  return powers.map(power => power / sum);
};
// The digits, the most probable one first.
const ranked = probabilities => [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
const percent = value => `${number(100 * value, 1)}%`;

// One of the ten test digits (of a block of data.py), as 784 numbers from 0 to 1.
const digitOf = (view, digit) => Array.from(bytes(view).subarray(784 * digit, 784 * (digit + 1)), value => value / 255);

// Ten rows: the digit, its logit (if wanted), and its probability as a bar and a number. show(logits) draws them, show()
// keeps their place while there are no logits yet.
const bars = (title, name, withLogits) => {
  const heading = element("div", { class: "title" }), list = element("ul", { class: "bars" });
  return {
    element: element("div", { class: "answers" }, heading, list),
    show: logits => {
      heading.textContent = logits ? title : `${title}, still loading`;
      if (!logits) return list.replaceChildren(...filled(1, 10, (_, digit) => element("li", {}, element("b", {}, digit), element("i"), element("span", {}, "…")))[0]);
      const probabilities = softmax(logits), [best] = ranked(probabilities);
      const head = withLogits && element("li", { class: "head", "aria-hidden": "true" }, element("b", {}, "digit"), element("span", {}, "logit"), element("i"), element("span", {}, "softmax"));
      list.replaceChildren(...(head ? [head] : []), ...probabilities.map((probability, digit) => element("li", { class: digit === best ? "best" : null },
        element("b", {}, digit),
        withLogits ? result("logits", logits[digit]) : null,
        element("i", { style: `--share:${probability}` }),
        result(name, probability, percent(probability)))));
    },
  };
};
