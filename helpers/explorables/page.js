// Mounts the figures of a page: the scripts before this one left the figures in explorableParts, and those after it leave
// data, and call mount() again. A figure gets a model with the methods that it would have in a notebook; there is no Python
// behind it. What it can begin without comes when the page has loaded; then its model gets other data.
(() => {
  const modelOf = state => {
    const listeners = {};
    const fire = name => (listeners[name] || []).slice().forEach(listener => listener());
    const each = (names, action) => names.split(" ").forEach(action);
    return {
      get: name => state[name],
      // As in a notebook: what is equal changes nothing, and listeners hear of a change at once.
      set(name, value) {
        const values = typeof name === "string" ? { [name]: value } : name;
        const changed = Object.keys(values).filter(key => JSON.stringify(values[key]) !== JSON.stringify(state[key]));
        Object.assign(state, values);
        changed.forEach(key => fire(`change:${key}`));
        if (changed.length) fire("change");
      },
      on: (names, listener) => each(names, name => (listeners[name] ||= []).push(listener)),
      off: (names, listener) => each(names, name => {
        listeners[name] = (listeners[name] || []).filter(other => listener && other !== listener);
      }),
      save_changes() {},
      send() {},
    };
  };
  const decode = text => {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return new DataView(bytes.buffer);
  };

  const parts = (self.explorableParts ||= {});
  parts.mount = () => {
    const { figures = {}, data = {} } = parts;
    const listed = names => (names || "").split(" ").filter(Boolean), there = name => name in data;
    for (const place of document.querySelectorAll("[data-explorable]")) {
      const { explorable, state, needs, later } = place.dataset;
      if (place.failed || !figures[explorable] || !listed(needs).every(there)) continue;
      const el = document.createElement("div");
      try {
        const names = [...listed(needs), ...listed(later).filter(there)];
        const blocks = Object.fromEntries(names.map(name => [name, place.model?.get("data")[name] || decode(data[name])]));
        if (place.model) {
          place.model.set("data", blocks);
          continue;
        }
        const model = modelOf({ ...JSON.parse(state), data: blocks });
        place.prepend(el);
        figures[explorable].render({ model, el });
        place.model = model;
        place.classList.add("mounted");  // the style sheet hides the fallback
      } catch (error) {
        place.failed = true;
        el.remove();
        console.error(error);
      }
    }
  };
  parts.mount();
  // On a bad line something may not come at all.
  const missing = (selector, text) => {
    for (const place of document.querySelectorAll(selector)) {
      place.append(Object.assign(document.createElement("p"), { className: "refused", textContent: `${text} Reload the page to try again.` }));
    }
  };
  addEventListener("load", () => {
    missing("[data-explorable]:not(.mounted)", "This figure could not be loaded, so it cannot be moved.");
    for (const { src } of document.querySelectorAll("script[type=later]")) {
      const name = src.match(/data_(\w+)\.js/)[1];
      const onerror = () => missing(`.mounted[data-later~="${name}"]`, "A part of this figure could not be loaded.");
      document.body.append(Object.assign(document.createElement("script"), { src, onerror }));
    }
  });
})();
