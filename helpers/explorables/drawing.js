// Drawing code that the figures share. Each figure's own file follows this text, so it calls these functions by name. (In the
// built pages this is a script of its own, which hands on each `const` that begins a line: tools/explorable_pages.py.)
// Every control is an object with its `element` and, where it shows a value, `show(value)`.

// Elements and the model ---------------------------------------------------------------------------------------------

// element("button", {class: "big", onclick: …}, "text", other) makes an element; false, null and undefined leave out.
const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child != null));
  return made;
};

// The same for drawings: svg("path", {d: "M0 0L9 9"}).
const svg = (tag, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

// Sets traits, all at once, and sends them to Python where there is one.
const change = (model, values) => {
  model.set(values);
  model.save_changes();
};

// Draws now, and again whenever one of these traits changes.
const connect = (model, names, draw) => {
  for (const name of names) model.on(`change:${name}`, draw);
  draw();
};

// The figure's own box: {root, say, refuse, refused}. say(text) is spoken when the reader pauses, refuse(reason) at once, and is
// seen, too, in the element `refused`, which belongs beside what can be refused. Both stay until the state changes, as does the
// reason why a control refuses a value.
const stage = (el, model, label) => {
  const spoken = element("p", { class: "spoken", role: "status" });
  const refused = element("p", { class: "refused", role: "alert" });
  const root = element("div", { class: "live", role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" });
  if (!el.closest(".explorable")) el.classList.add("explorable");
  const caption = model.get("caption");
  const below = caption && !el.closest("figure") ? element("p", { class: "caption" }, caption) : null;
  el.append(root, refused, spoken, ...(below ? [below] : []));
  let waiting;
  const say = text => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { spoken.textContent = text; }, 300);
  };
  model.on("change", () => {
    clearTimeout(waiting);
    for (const each of el.querySelectorAll(".spoken, .refused")) each.textContent = "";
  });
  return { root, say, refuse: reason => { refused.textContent = reason; }, refused };
};
// The places where the figure of a control says what it refuses.
const refusals = control => [...control.closest(".live").parentElement.querySelectorAll(".refused")];

const stillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Numbers ------------------------------------------------------------------------------------------------------------

// counted(2, "cell") is "2 cells".
const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
// As text: at most so many decimals, and a minus sign instead of a hyphen.
const number = (value, decimals = 2) => {
  const text = value.toFixed(decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  return (text === "-0" ? "0" : text).replace("-", "−");
};

// The number that somebody typed, or NaN: 0.5, 0,5, −1, 1/9.
const parse = text => {
  const [, above, below] = text.trim().replace(/[−–]/g, "-").replace(/,/g, ".")
    .match(/^([-+]?(?:\d+\.?\d*|\.\d+))(?:\/(\d+\.?\d*))?$/) || [];
  const value = Number(above) / Number(below ?? 1);
  return above !== undefined && Number.isFinite(value) ? value : NaN;
};

// A number that the figure computed, named as in numbers() of the Python class, so that tests can compare the two.
const result = (name, value, text = number(value)) =>
  element("span", { "data-value": name, "data-number": value }, text);

// Blocks of model.get("data"), as arrays.
const bytes = view => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const halves = view => {
  // A float32 has the same three parts, sign, exponent and fraction, only wider, and counts its exponent from 112 further.
  const wide = new Uint32Array(view.byteLength / 2);
  for (let i = 0; i < wide.length; i++) {
    const bits = view.getUint16(2 * i, true);
    wide[i] = ((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13);
  }
  return new Float32Array(wide.buffer).map(value => value * 2 ** 112);  // the course stores no infinities
};

// Colours: [red, green, blue] from 0 to 255 ---------------------------------------------------------------------------

const CIVIDIS = "00224e002e6a1a386f32436d434e6c535a6d61656f6f70737d7c788c88789b9476aba072bcae6ccdbb63dec958f0d846fee838"
  .match(/../g).map(pair => parseInt(pair, 16));
// From low (black) to high (white); and for numbers with a sign, where zero is mid-grey and −limit and +limit the ends.
const grey = (low, high) => value => Array(3).fill(255 * Math.min(1, Math.max(0, (value - low) / (high - low || 1))));
const signed = limit => value => {
  const place = 16 * Math.min(1, Math.max(0, (value / (limit || 1) + 1) / 2)), low = Math.min(15, Math.floor(place));
  return [0, 1, 2].map(i => CIVIDIS[3 * low + i] + (place - low) * (CIVIDIS[3 * low + 3 + i] - CIVIDIS[3 * low + i]));
};
const css = colour => `rgb(${colour.map(Math.round)})`;
const inkOn = colour => {
  const [r, g, b] = colour.map(part => (part / 255 <= 0.04045 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
};
// The scale under a picture, from the number `low` to `high`.
const scale = (low, high, colours) => {
  const stops = [0, 0.25, 0.5, 0.75, 1].map(place => css(colours(low + place * (high - low))));
  const bar = element("i", { style: `background:linear-gradient(90deg,${stops})` });
  return element("div", { class: "scale" }, number(low), bar, number(high));
};

// Controls -----------------------------------------------------------------------------------------------------------

const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);

// options: [value, text] each, or {group, options}.
const choice = (label, options, onchange) => {
  const make = list => list.map(each => each.group
    ? element("optgroup", { label: each.group }, ...make(each.options))
    : element("option", { value: each[0] }, each[1]));
  const select = element("select", { "aria-label": label, onchange: () => onchange(select.value) }, ...make(options));
  return { element: element("label", { class: "control" }, label, select), show: value => { select.value = value; } };
};

const radios = (label, options, onchange) => {
  // In a notebook each figure has a copy of this text to itself, so what counts the groups belongs to the page.
  const name = `explorable-${label}-${self.explorableGroups = (self.explorableGroups ?? 0) + 1}`;
  const inputs = options.map(([value]) => element("input", { type: "radio", name, value, onchange: () => onchange(value) }));
  const labels = options.map(([, text], i) => element("label", {}, inputs[i], element("span", {}, text)));
  return {
    element: element("fieldset", { class: "control radios" }, element("legend", {}, label), ...labels),
    // What is not in there yet cannot be chosen.
    show: (value, there = () => true) => inputs.forEach(input => {
      input.checked = input.value === String(value);
      input.disabled = !there(input.value);
    }),
  };
};

const tick = (label, onchange) => {
  const input = element("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  return { element: element("label", { class: "tick" }, input, label), show: value => { input.checked = value; } };
};

// A whole number between two buttons. onchange may return the reason why it refuses a value: then that is shown.
const stepper = (label, { min, max }, onchange) => {
  let now = min;
  const reason = element("span", { class: "refused", role: "alert" });
  const attempt = value => {
    const whole = Number.isInteger(value), range = `${label} goes from ${number(min)} to ${number(max)}`;
    reason.textContent = (whole && value >= min && value <= max ? onchange(value) : `${range}${whole ? "" : ", in whole numbers"}.`) || "";
    input.value = number(now);
  };
  const input = element("input", {
    inputmode: "numeric", autocomplete: "off", "aria-label": label, onchange: () => attempt(parse(input.value)),
    onkeydown: event => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (event.key === "Escape") input.value = number(now);
      if (!by) return;
      const typed = parse(input.value);
      event.preventDefault();
      attempt((Number.isInteger(typed) ? typed : now) + by);
    },
  });
  const less = button("−", () => attempt(now - 1), { "aria-label": `${label}: less` });
  const more = button("+", () => attempt(now + 1), { "aria-label": `${label}: more` });
  return {
    element: element("div", { class: "control" }, label, element("div", { class: "joined" }, less, input, more), reason),
    show: value => {
      now = value;
      if (input.defaultValue !== number(now)) input.value = input.defaultValue = number(now);  // what is being typed stays
    },
  };
};

const slider = (label, { min, max, step }, onchange, text = number) => {
  const output = element("output");
  const input = element("input", {
    type: "range", min, max, step, "aria-label": label, oninput: () => onchange(Number(input.value)),
  });
  return {
    element: element("label", { class: "control" }, element("span", {}, label, " ", output), input),
    show: value => {
      input.value = value;
      output.textContent = text(value);
      input.setAttribute("aria-valuetext", text(value));
    },
  };
};

// Buttons that walk through `count()` states; `at()` is the present one, go(i) changes it. Call stop() in the clean-up.
// There is nothing that plays for readers who asked for less motion: they step.
const player = ({ count, at, go, delay = () => 600 }) => {
  let timer;
  const stop = () => { clearInterval(timer); timer = undefined; play.textContent = "▶ Play"; };
  const step = by => go(Math.min(count() - 1, Math.max(0, at() + by)));
  const rest = () => { stop(); go(at()); };  // at a state that is not passed at once, and can be spoken of
  // What is refused meanwhile has to be read.
  const tickOn = () => { if (at() >= count() - 1 || refusals(play).some(each => each.textContent)) rest(); else step(1); };
  const play = button("▶ Play", () => {
    if (timer) return rest();
    for (const each of refusals(play)) each.textContent = "";
    if (at() >= count() - 1) go(0);
    timer = setInterval(tickOn, delay());
    play.textContent = "❚❚ Pause";
  });
  const by = (text, action) => button(text, () => { stop(); action(); });
  const buttons = [by("⇤ First", () => go(0)), by("← Back", () => step(-1)), by("Next →", () => step(1))];
  if (!stillness()) buttons.splice(2, 0, play);
  return { element: element("div", { class: "buttons" }, ...buttons), stop, playing: () => timer !== undefined };
};

// Tells at(event, how) where the pointer is on a drawing: "press", then "drag" on from there. A finger may be about to scroll
// the page: unless it draws(), it presses when it goes sideways or is lifted, and not at all if the browser scrolls.
const pointed = (target, at, { draws = () => false, lift = () => {} } = {}) => {
  let waiting;
  const press = event => { waiting = null; at(event, "press"); };
  target.addEventListener("pointerdown", event => {
    if (event.button || !event.isPrimary) return;
    // What is typed somewhere counts before; where that is refused, the reason is all that the press brings.
    const reasons = () => refusals(target).map(each => each.textContent).join(""), before = reasons();
    if (document.activeElement?.matches("input")) document.activeElement.blur();
    if (reasons() && reasons() !== before) return;
    target.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch" && !draws()) waiting = event;
    else press(event);
  });
  target.addEventListener("pointermove", event => {
    if (!event.isPrimary || !target.hasPointerCapture(event.pointerId)) return;
    if (waiting) {
      if (Math.abs(event.clientX - waiting.clientX) <= Math.abs(event.clientY - waiting.clientY)) return;
      press(waiting);
    }
    at(event, "drag");
  });
  target.addEventListener("pointerup", event => {
    if (waiting) press(waiting);
    if (event.isPrimary && target.hasPointerCapture(event.pointerId)) lift();
  });
  target.addEventListener("pointercancel", () => { waiting = null; });
};

// Rows of numbers: make(row, column) gives each.
const filled = (rows, columns, make) => Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => make(r, c)));

// Rows and columns by which a key moves on a drawing; Home and End go to the first and the last column.
const stepOf = ({ key }) => ({
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity],
})[key] || [0, 0];

// Grids --------------------------------------------------------------------------------------------------------------

// A matrix as cells with numbers, or as pixels when it is large. What it can do:
//   point(row, column, how)    how: "press", "drag" on from there, or "key" when an arrow key went there
//   lift()                     the pointer is lifted after a press
//   beyond                     true: a drag goes on outside of the board, where rows and columns do, too
//   press(row, column)         Space or Enter on the cell, if it is not what point() does
//   edit(row, column, value)   makes the cells fields for typing; the figure has to draw the new value
//   accepts(value), wanted     which numbers may be typed, and the same in words
// draw({values, …}) shows rows of numbers (null: an empty cell) and takes
//   label      what it is, for who cannot see it           title     element or text above it
//   name       the key in numbers() of these values        text      value => text in a cell
//   note       (row, column) => small text in a cell       colour    value => [red, green, blue], or leave out
//   frame      [row, column, rows, columns] to mark         current   the cell that the arrow keys start from
//   describe   (row, column) => words for that cell         still     true: no stop for the keyboard, for now
//   drawing    true: a finger that moves here draws instead of scrolling the page
//   largest    columns that are still drawn as numbers, 7 if left out
const matrix = ({
  point, lift, beyond, press = point && ((row, column) => point(row, column, "key")),
  edit, accepts = value => Math.abs(value) <= 1000, wanted = "a number from −1000 to 1000, such as 2, −0.5 or 1/9",
} = {}) => {
  const [title, frame, pen, board] = ["title", "frame", "pen", "board"].map(name => element("div", { class: name }));
  const reason = element("p", { class: "refused", role: "alert" });
  let view, shape, cells, canvas, here = [0, 0];
  const rows = () => view.values.length, columns = () => view.values[0].length;
  const inside = (row, column) => [Math.min(rows() - 1, Math.max(0, row)), Math.min(columns() - 1, Math.max(0, column))];
  const active = () => (point || edit) && !view.still;
  const words = (row, column) => (view.describe ? view.describe(row, column) : `row ${row}, column ${column}`);

  const commit = (row, column, input) => {
    const value = parse(input.value);
    reason.textContent = accepts(value) ? "" : `“${input.value}” is not ${wanted}: the cell stays as it was.`;
    if (accepts(value)) edit(row, column, value);
    input.value = input.defaultValue;
  };
  const field = (row, column) => element("input", {
    inputmode: "text", autocomplete: "off", onfocus: event => { here = [row, column]; event.target.select(); },
    onchange: event => commit(row, column, event.target),
  });
  const build = () => {
    board.replaceChildren();
    board.className = `board ${canvas ? "pixels" : "squares"}${point ? " pointed" : ""}`;
    for (const name of ["valuemin", "valuemax", "valuenow", "valuetext"]) board.removeAttribute(`aria-${name}`);
    board.removeAttribute("tabindex");
    board.setAttribute("role", !active() ? "img" : canvas ? "slider" : "grid");
    if (canvas) {
      canvas = element("canvas", { width: columns(), height: rows() });
      const pixel = Math.max(1, Math.floor(252 / Math.max(rows(), columns())));
      board.style.width = `${pixel * columns()}px`;
      board.append(canvas);
      if (active()) board.setAttribute("tabindex", 0);
    } else {
      board.style.width = "";
      cells = view.values.map((line, row) => line.map((_, column) =>
        element("div", { class: "square", role: active() ? "gridcell" : null }, edit ? field(row, column) : "")));
      board.append(...cells.map(line => element("div", { class: "line", role: active() ? "row" : null }, ...line)));
    }
    board.append(frame, pen);
  };
  const paintPixels = () => {
    const image = new ImageData(columns(), rows());
    view.values.flat().forEach((value, i) => { if (value != null) image.data.set([...view.colour(value), 255], 4 * i); });
    canvas.getContext("2d").putImageData(image, 0, 0);
    if (view.name) { board.dataset.value = view.name; board.numbers = view.values.flat().filter(value => value != null); }
    if (!active()) return;
    board.setAttribute("aria-valuemin", 0);
    board.setAttribute("aria-valuemax", rows() * columns() - 1);
    board.setAttribute("aria-valuenow", here[0] * columns() + here[1]);
    board.setAttribute("aria-valuetext", words(...here));
  };
  const paintCell = (cell, value, row, column) => {
    const chosen = row === here[0] && column === here[1];
    const text = value == null ? "" : (view.text || (each => number(each, Math.abs(each) < 100 ? 2 : 0)))(value);
    const colour = view.colour && value != null ? view.colour(value) : null;
    cell.style.background = colour ? css(colour) : "";
    cell.style.color = colour ? inkOn(colour) : "";
    cell.classList.toggle("empty", value == null);
    cell.classList.toggle("long", text.length > 4);
    if (view.name && value != null) Object.assign(cell.dataset, { value: view.name, number: value });
    else { delete cell.dataset.value; delete cell.dataset.number; }
    const target = edit ? cell.firstChild : cell;
    if (edit) {  // what is being typed stays
      if (target.defaultValue !== text) target.value = target.defaultValue = text;
    } else {
      const note = view.note && view.note(row, column);
      cell.replaceChildren(text, ...(note ? [element("small", {}, note)] : []));
    }
    if (active()) {
      target.setAttribute("tabindex", chosen ? 0 : -1);
      target.setAttribute("aria-label", words(row, column));
    }
  };
  const cover = (box, ...place) => ["top", "left", "height", "width"].forEach((side, i) => {
    box.style[side] = `${(100 * place[i]) / (i % 2 ? columns() : rows())}%`;
  });
  const show = () => {
    const held = board.contains(document.activeElement);
    if (view.current) here = view.current;
    here = inside(...here);
    canvas = columns() > (view.largest ?? 7) || rows() > (view.largest ?? 7) ? canvas || true : null;
    const now = [rows(), columns(), Boolean(canvas), active()].join();
    if (now !== shape) build();
    shape = now;
    title.replaceChildren(...[view.title ?? view.label].flat());
    board.setAttribute("aria-label", view.label);
    board.classList.toggle("drawing", Boolean(view.drawing));
    delete board.dataset.value;
    if (canvas) paintPixels();
    else view.values.forEach((line, row) => line.forEach((value, column) => paintCell(cells[row][column], value, row, column)));
    frame.hidden = !view.frame;
    if (view.frame) cover(frame, ...view.frame);
    cover(pen, ...here, 1, 1);
    if (held && active()) focusHere();
  };
  const focusHere = () => {
    const cell = canvas ? board : cells[here[0]][here[1]], target = edit ? cell.firstChild : cell;
    if (target !== document.activeElement) target.focus({ preventScroll: true });
  };
  let dragged, box;
  if (point) pointed(board, (event, how) => {
    if (how === "press") box = board.getBoundingClientRect();  // the drag is measured from there, even if the board moves
    const down = (event.clientY - box.top) / box.height, right = (event.clientX - box.left) / box.width;
    const place = [Math.floor(down * rows()), Math.floor(right * columns())], now = beyond && how === "drag" ? place : inside(...place);
    if (how === "drag" && String(now) === String(dragged)) return;
    dragged = now;
    here = inside(...now);
    point(...now, how);
    if (how === "drag") return;
    event.preventDefault();  // or the browser moves the focus to the cell that was pressed
    if (active()) focusHere();
  }, { draws: () => view.drawing, lift });
  board.addEventListener("keydown", event => {
    if (!active() || event.altKey || event.ctrlKey || event.metaKey) return;
    const [down, right] = stepOf(event);
    if (down || right || (edit && event.key === "Enter")) {
      const next = inside(here[0] + down, here[1] + right);
      if (edit) event.target.blur();  // so that what was typed is taken
      if (point) point(...next, "key");
      here = next;
      show();
      if (edit) focusHere();
    } else if (press && (event.key === " " || event.key === "Enter")) press(...here);
    else if (edit && event.key === "Escape") event.target.value = event.target.defaultValue;
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    element: element("div", { class: "picture" }, title, board, edit ? reason : null),
    show: next => { view = next; show(); },
    focus: focusHere,
  };
};
