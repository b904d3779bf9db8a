// Mounts the figures of a page: the scripts before this one left the figures in explorableParts, and those after it leave
// data, and call mount() again. A figure gets a model with the methods that it would have in a notebook; there is no Python
// behind it.
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
    for (const place of document.querySelectorAll("[data-explorable]")) {
      const { explorable, state, needs } = place.dataset;
      const names = (needs || "").split(" ").filter(Boolean);
      if (place.model || place.failed || !figures[explorable] || !names.every(name => name in data)) continue;
      const el = document.createElement("div");
      try {
        const blocks = names.map(name => [name, decode(data[name])]);
        const model = modelOf({ ...JSON.parse(state), data: Object.fromEntries(blocks) });
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
})();
