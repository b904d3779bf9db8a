// Pooling: a window of a map becomes one number, and a shift of the map changes some of them.
const SMALL = [[1, 3, 2, 1], [4, 2, 0, 1], [0, 2, 5, 6], [2, 0, 7, 2]];
const LINE = Array.from({ length: 4 }, () => [8, 0, 0, 0, 0, 0]);
const SOBEL = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]];
const NOTHING = 1e-9;  // what floating-point numbers may differ by
const size = rows => `${rows.length}×${rows[0].length}`;
// As chapter 4 finds them: where the digit gets brighter to the right, and 0 elsewhere. In steps of 0.01.
const edges = pixels => filled(26, 26, (row, column) => {
  let sum = 0;
  SOBEL.forEach((line, r) => line.forEach((weight, c) => { sum += weight * pixels[28 * (row + r) + column + c] / 255; }));
  return Math.max(0, Math.round(100 * sum) / 100);
});
const length = values => Math.hypot(...values.flat());
const differences = (after, before) => after.map((line, r) => line.map((value, c) => value - before[r][c]));

export default {
  render({ model, el }) {
    const { root, say, refuse, refused } = stage(el, model, "Pooling: a window of a map becomes one number");
    const pixels = bytes(model.get("data").digits), maps = { small: SMALL, line: LINE };
    for (let digit = 0; digit < 10; digit++) maps[`digit ${digit}`] = edges(pixels.subarray(784 * digit));

    const look = () => {
      const still = model.get("input"), right = model.get("right"), max = model.get("mode") === "max";
      const kernel = model.get("kernel_size"), stride = model.get("stride");
      const rows = Math.floor((still.length - kernel) / stride) + 1, columns = Math.floor((still[0].length - kernel) / stride) + 1;
      const [row, column] = model.get("position");
      const moved = still.map(line => line.map((_, c) => line[c - right] ?? 0));
      const window = (map, r, c) => filled(kernel, kernel, (i, j) => map[r * stride + i][c * stride + j]);
      const summary = cells => (max ? Math.max(...cells.flat()) : cells.flat().reduce((sum, value) => sum + value, 0) / kernel ** 2);
      const pool = map => filled(rows, columns, (r, c) => summary(window(map, r, c)));
      return {
        still, moved, right, max, kernel, stride, rows, columns, output: pool(moved), before: pool(still), window,
        row: Math.min(row, rows - 1), column: Math.min(column, columns - 1),  // until a new size has moved it
      };
    };
    // Changes traits, if the window still fits; the place in the result moves along. Else returns why not.
    const attempt = values => {
      const [input, kernel, stride] = ["input", "kernel_size", "stride"].map(name => values[name] ?? model.get(name));
      if (kernel > Math.min(input.length, input[0].length)) return `A window of ${kernel}×${kernel} does not fit into a map of ${size(input)}.`;
      const last = side => Math.floor((side - kernel) / stride), [row, column] = model.get("position");
      change(model, { ...values, position: [Math.min(row, last(input.length)), Math.min(column, last(input[0].length))] });
      say(model.get("right") ? [...comparison.children].slice(0, 2).map(line => line.textContent).join(". ") : here());
    };
    const here = () => {
      const { output, row, column } = look();
      return `Row ${row}, column ${column} of the result: ${number(output[row][column])}`;
    };

    const chooseMap = choice("Map", [
      ["small", "the chapter's 4×4"], ["line", "a vertical line, 4×6"],
      { group: "edges of a handwritten digit, 26×26", options: filled(1, 10, (_, i) => [`digit ${i}`, `edges of a ${i}`])[0] },
      ["own", "your own"],
    ], name => {
      const reason = maps[name] && attempt({ input: maps[name] });
      refuse(reason || "");
      if (!reason) {  // something is to be seen where the largest number is
        const { output, columns } = look(), largest = output.flat().indexOf(Math.max(...output.flat()));
        go(Math.floor(largest / columns), largest % columns);
      }
      draw();
    });
    const mode = radios("Keep the", [["max", "maximum"], ["average", "average"]], value => attempt({ mode: value }));
    const steppers = {
      kernel_size: stepper("Window", { min: 1, max: 5 }, value => attempt({ kernel_size: value })),
      stride: stepper("Stride", { min: 1, max: 5 }, value => attempt({ stride: value })),
      right: stepper("Shift to the right", { min: -4, max: 4 }, value => attempt({ right: value })),
    };
    const go = (row, column) => {
      change(model, { position: [row, column] });
      say(here());
    };
    const inputBoard = matrix({
      point: (row, column) => {  // the window whose middle is nearest
        const { kernel, stride, rows, columns } = look();
        const nearest = (place, count) => Math.min(count - 1, Math.max(0, Math.round((place - (kernel - 1) / 2) / stride)));
        go(nearest(row, rows), nearest(column, columns));
      },
    });
    const outputBoard = matrix({ point: go }), changeBoard = matrix({ point: go });
    const boards = [inputBoard, outputBoard, changeBoard], scales = boards.map(() => element("div"));
    boards.forEach((board, i) => board.element.append(scales[i]));
    const sum = element("div", { class: "sum pooled" }), comparison = element("div", { class: "comparison" });
    root.append(
      element("div", { class: "controls" }, chooseMap.element, mode.element, ...Object.values(steppers).map(each => each.element)),
      refused,
      element("div", { class: "pictures pooling" }, inputBoard.element, element("div", { class: "between", "aria-hidden": "true" }, "→"),
        outputBoard.element, changeBoard.element),
      sum, comparison,
    );

    // The window's numbers; the first of the largest wins, as in torch.
    const drawSum = ({ moved, right, max, kernel, row, column, output, before, window }) => {
      const cells = window(moved, row, column).flat(), value = output[row][column], winner = max ? cells.indexOf(value) : -1;
      const terms = cells.flatMap((cell, i) => [i ? (max ? ", " : " + ") : "", element(i === winner ? "b" : "span", {}, result("window", cell))]);
      const rounded = [...cells, value].some(each => Math.abs(each - Number(each.toFixed(2))) > NOTHING);
      sum.replaceChildren(
        element("div", { class: "title" }, `Window of row ${row}, column ${column}`),
        element("div", {}, max ? "max(" : "(", ...terms, max ? ")" : `) / ${kernel ** 2}`),
        element("div", { class: "total" }, rounded ? "≈ " : "= ", result("result", value)),
        ...(right ? [element("div", { class: "note" }, "before the shift: ", result("before", before[row][column]))] : []),
      );
    };
    const drawComparison = ({ still, moved, right, before, output }) => {
      const part = (name, words, after, first) => {
        const difference = differences(after, first), whole = length(first);
        const changed = difference.flat().filter(each => Math.abs(each) > NOTHING).length;
        return element("p", {}, element("b", {}, words), result(`${name}_changed`, changed), ` of ${difference.flat().length} numbers changed`,
          ...(whole ? ["; relative change ", result(`${name}_change`, length(difference) / whole)] : []));
      };
      comparison.replaceChildren(...(right ? [
        part("input", "In the map: ", moved, still),
        part("output", "In the result: ", output, before),
        element("p", { class: "note" }, "Relative change: the length of the difference, divided by the length of what was there before the shift."),
      ] : [element("p", {}, "Shift the map by one cell, and see how many of the results change.")]));
    };

    const draw = () => {
      const now = look(), { still, moved, right, max, kernel, stride, rows, columns, row, column, output, before } = now;
      chooseMap.show(Object.keys(maps).find(name => JSON.stringify(maps[name]) === JSON.stringify(still)) || "own");
      mode.show(model.get("mode"));
      for (const [name, each] of Object.entries(steppers)) each.show(model.get(name));

      const low = Math.min(0, ...still.flat()), high = Math.max(...still.flat()), colour = grey(low, high);
      const winner = max ? now.window(moved, row, column).flat().indexOf(output[row][column]) : -1;
      const [top, left] = [row * stride, column * stride];
      inputBoard.show({
        values: moved, label: `map, ${size(moved)}`, title: right ? `map, shifted by ${number(right)}` : "map", colour, still: true,
        frame: [top, left, kernel, kernel],
        note: (r, c) => (max && r === top + Math.floor(winner / kernel) && c === left + winner % kernel ? "max" : ""),
      });
      const bar = (i, values, ...limits) => scales[i].replaceChildren(values.length > 7 || values[0].length > 7 ? scale(...limits) : "");
      bar(0, moved, low, high, colour);
      bar(1, output, low, high, colour);
      const place = { current: [row, column], frame: [row, column, 1, 1], describe: (r, c) => `row ${r}, column ${c}: ${number(output[r][c])}` };
      outputBoard.show({
        ...place, values: output, name: "output", colour, label: `result, ${rows}×${columns}`,
        title: ["result, ", result("output_size", rows), "×", result("output_size", columns)],
      });
      changeBoard.element.hidden = !right;
      if (right) {
        const change = differences(output, before), limit = Math.max(...change.flat().map(Math.abs)), colours = signed(limit);
        changeBoard.show({
          ...place, values: change, name: "change", colour: colours, label: "change by the shift",
          describe: (r, c) => `row ${r}, column ${c}: ${number(change[r][c])}`,
        });
        bar(2, change, -limit, limit, colours);
      }
      drawSum(now);
      drawComparison(now);
    };
    connect(model, ["input", "mode", "kernel_size", "stride", "right", "position"], draw);
  },
};
