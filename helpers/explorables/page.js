// Mounts the figures of a page: each script before this one left its figure or its data in explorableParts.
// A figure gets a model with the methods that it would have in a notebook; there is no Python behind it.
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
  const decode = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);

  const { figures = {}, data = {} } = self.explorableParts || {};
  for (const place of document.querySelectorAll("[data-explorable]")) {
    const { explorable, state, needs } = place.dataset;
    if (place.model || !figures[explorable]) continue;
    const el = document.createElement("div");
    try {
      const blocks = (needs || "").split(" ").filter(Boolean).map(name => [name, decode(data[name])]);
      const model = modelOf({ ...JSON.parse(state), data: Object.fromEntries(blocks) });
      place.prepend(el);
      figures[explorable].render({ model, el });
      place.model = model;
      place.classList.add("mounted");  // the style sheet hides the fallback
    } catch (error) {
      el.remove();
      console.error(error);
    }
  }
})();
