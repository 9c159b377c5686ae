// Everything the pages do in the browser, apart from htmx. Each part adds comfort to markup that works without it.
(function () {
  "use strict";

  // Dialogs: <button data-dialog-open="ID">, data-dialog-close inside; a click on the veil closes too.
  const dialogs = {
    start() {
      document.addEventListener("click", (event) => {
        const opener = event.target.closest("[data-dialog-open]");
        if (opener) dialogs.open(opener.dataset.dialogOpen);
        if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();
        if (event.target instanceof HTMLDialogElement) event.target.close();
      });
      // A form that came back with errors opens its dialog again.
      const wrong = document.querySelector("dialog [aria-invalid='true'], dialog [role='alert']");
      if (wrong) dialogs.open(wrong.closest("dialog").id);
    },
    open(id) {
      const dialog = document.getElementById(id);
      if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
    },
  };

  // Menus are <details data-menu>: one open at a time, closed by Escape and by a click elsewhere.
  const menus = {
    start() {
      document.addEventListener("click", (event) => menus.close(event.target.closest("[data-menu]")));
      document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        const open = document.querySelector("[data-menu][open]");
        if (open) {
          open.open = false;
          open.querySelector("summary").focus();
        }
      });
    },
    close(except) {
      document.querySelectorAll("[data-menu][open]").forEach((menu) => {
        if (menu !== except) menu.open = false;
      });
    },
  };

  // Copy: <button data-copy="text"> says "Copied" for two seconds.
  const copying = {
    start() {
      document.addEventListener("click", async (event) => {
        const button = event.target.closest("[data-copy]");
        if (!button) return;
        try {
          await navigator.clipboard.writeText(button.dataset.copy);
        } catch {
          toasts.show("Your browser didn't let us copy. Select the text and copy it yourself.", "warning");
          return;
        }
        copying.confirm(button);
      });
    },
    confirm(button) {
      const label = button.querySelector("[data-copy-label]");
      if (!label || button.dataset.copied !== undefined) return;
      const before = label.textContent;
      label.textContent = "Copied";
      button.dataset.copied = "";
      setTimeout(() => {
        label.textContent = before;
        delete button.dataset.copied;
      }, 2000);
    },
  };

  // Theme: the switch remembers; "" gives the choice back to the system.
  const theme = {
    start() {
      document.querySelectorAll("[data-theme-switch]").forEach((group) => {
        group.addEventListener("click", (event) => {
          const button = event.target.closest("button");
          if (button) theme.choose(button.value);
        });
      });
      theme.show(document.documentElement.dataset.theme ?? "");
    },
    choose(name) {
      if (name) document.documentElement.dataset.theme = name;
      else delete document.documentElement.dataset.theme;
      try {
        if (name) localStorage.setItem("theme", name);
        else localStorage.removeItem("theme");
      } catch {
        // Not remembered then; the choice still holds for this page.
      }
      theme.show(name);
    },
    show(name) {
      document.querySelectorAll("[data-theme-switch] button").forEach((button) => {
        button.setAttribute("aria-pressed", String(button.value === name));
      });
    },
  };

  // Toasts: good news leaves by itself after six seconds, unless it is being read; the rest stays until closed.
  const toasts = {
    start() {
      document.querySelectorAll("[data-toast]").forEach(toasts.time);
      document.addEventListener("click", (event) => {
        if (event.target.closest("[data-toast-close]")) event.target.closest("[data-toast]").remove();
      });
      document.addEventListener("htmx:sendError", () => toasts.offline());
      document.addEventListener("htmx:responseError", (event) => {
        if (event.detail.xhr.status === 403 || event.detail.xhr.status === 404) location.reload();
      });
    },
    time(toast) {
      if (!toast.classList.contains("success") && !toast.classList.contains("info")) return;
      const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
      setTimeout(leave, 6000);
    },
    offline() {
      if (document.querySelector("[data-toast='offline']")) return;
      const toast = toasts.show("We can't reach Harbor. This page goes on by itself when the connection is back.", "warning");
      toast.dataset.toast = "offline";
      document.addEventListener("htmx:afterOnLoad", () => toast.remove(), { once: true });
    },
    show(words, kind) {
      const toast = document.createElement("div");
      toast.className = `toast ${kind}`;
      toast.dataset.toast = "";
      const text = document.createElement("p");
      text.textContent = words;
      toast.append(text);
      document.getElementById("toasts").append(toast);
      toasts.time(toast);
      return toast;
    },
  };

  // Passkeys: what the browser says no to, or the person cancels, allauth tells to scripts only.
  const passkeys = {
    words: {
      InvalidStateError: "This device has a passkey for your account already.",
      SecurityError: "Browsers offer passkeys only at a name, not at a bare address such as 127.0.0.1. Open Harbor by its name (localhost, on this computer).",
    },
    start() {
      document.addEventListener("allauth.error", (event) => {
        if (!event.detail.tags.includes("webauthn")) return;
        event.preventDefault();
        const words = passkeys.words[event.detail.exception?.name];
        toasts.show(words ?? "That did not work with your device. Try again, or choose another way.", "warning");
      });
    },
  };

  // Ticks: check boxes of rows. What is ticked is counted, and an action is for the ticked ones once there are some.
  const ticks = {
    start() {
      if (!document.querySelector(".tick")) return;
      document.addEventListener("change", (event) => {
        if (event.target.matches("[data-tick-all]")) ticks.boxes().forEach((box) => (box.checked = event.target.checked));
        if (event.target.closest(".tick")) ticks.told();
      });
      window.addEventListener("pageshow", ticks.told); // the browser may have kept ticks
      ticks.told();
    },
    boxes() {
      return [...document.querySelectorAll("td.tick input")];
    },
    told() {
      const count = ticks.boxes().filter((box) => box.checked).length;
      document.querySelectorAll("[data-ticked-count]").forEach((place) => (place.textContent = `: ${count}`));
      document.querySelectorAll("[data-ticked-words]").forEach((place) => {
        place.textContent = ` · ${count} ticked`;
        place.hidden = !count;
      });
      const which = document.getElementById(count ? "which-ticked" : "which-all");
      if (which) which.checked = true;
    },
    toggle() {
      const box = document.activeElement?.closest("tr")?.querySelector("td.tick input");
      if (!box) return false;
      box.checked = !box.checked;
      ticks.told();
      return true;
    },
  };

  // Keys: / search, j and k rows (links marked data-row) or the page before and after, x ticks a row, e opens
  // the actions, ? the list of keys. Never while someone types.
  const keys = {
    start() {
      document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || keys.typing(event.target)) return;
        if (document.querySelector("dialog[open]")) return;
        const act = {
          "/": keys.search,
          j: () => keys.step(1),
          k: () => keys.step(-1),
          x: ticks.toggle,
          e: () => keys.actions(),
          "?": () => dialogs.open("keys"),
        }[event.key];
        if (act && act() !== false) event.preventDefault();
      });
    },
    typing(element) {
      return element.isContentEditable || element.matches("input:not([type='checkbox'], [type='radio']), textarea, select");
    },
    search() {
      const field = document.querySelector("input[type='search'], [data-search]");
      if (!field) return false;
      field.focus();
      field.select();
      return true;
    },
    actions() {
      if (!document.getElementById("actions")) return false;
      dialogs.open("actions");
      return true;
    },
    step(by) {
      const rows = [...document.querySelectorAll("a[data-row]")];
      if (!rows.length) return keys.turn(by);
      const at = rows.indexOf(document.activeElement?.closest("tr")?.querySelector("a[data-row]") ?? document.activeElement);
      const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
      next.focus();
      next.scrollIntoView({ block: "nearest" });
      return true;
    },
    turn(by) {
      const link = document.querySelector(by > 0 ? "a[data-next]" : "a[data-previous]");
      if (!link) return false;
      link.click();
      return true;
    },
  };

  // Times: <time data-ago> stays true while the page is open. The rules are those of saas/wording.py.
  const times = {
    start() {
      setInterval(times.refresh, 20000);
    },
    refresh() {
      document.querySelectorAll("time[data-ago]").forEach((element) => {
        const words = times.words((Date.now() - Date.parse(element.dateTime)) / 1000);
        if (words) element.textContent = words;
      });
    },
    words(away) {
      const size = Math.abs(away);
      if (size < 45) return away >= 0 ? "just now" : "in a moment";
      if (size >= 30 * 86400) return "";
      const [count, unit] = times.nearest(size);
      return away >= 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
    },
    nearest(size) {
      if (size < 3570) return [Math.max(Math.round(size / 60), 1), "min"];
      if (size < 86400) return [Math.max(Math.round(size / 3600), 1), "h"];
      const days = Math.max(Math.round(size / 86400), 1);
      return [days, days === 1 ? "day" : "days"];
    },
  };

  // Forms: a second press of the button while the first is on its way does nothing. Fields marked
  // data-submit-on-change (filters, a role in a list) submit their form at once.
  const forms = {
    start() {
      document.addEventListener("submit", (event) => {
        const form = event.target;
        if (form.getAttribute("aria-busy") === "true") event.preventDefault();
        else if (!event.defaultPrevented && form.method === "post") form.setAttribute("aria-busy", "true");
      });
      document.addEventListener("change", (event) => {
        if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
      });
      // Coming back with the back button shows the page as it was, busy forms included.
      window.addEventListener("pageshow", () => {
        document.querySelectorAll("form[aria-busy]").forEach((form) => form.removeAttribute("aria-busy"));
      });
    },
  };

  // Drafts: what was typed into the forms of the page before a door (the login, an error) came in the way waits in
  // this tab and is put back once the same person is on the page again. The next page of theirs without a door
  // between means that it arrived, and forgets it. Secrets, files and hidden fields are never kept.
  const drafts = {
    secret: /pass|secret|token|csrf|code|card|cvc|(^|_)key($|_)/i,
    entry: "draft",
    start() {
      drafts.arrive(document.body.dataset.person);
      const keep = (event) => drafts.keep(event.target.form ?? event.target);
      document.addEventListener("input", keep);
      document.addEventListener("submit", (event) => {
        if (/\/logout\/$/.test(event.target.getAttribute("action"))) drafts.write(null);
        else keep(event);
      });
    },
    arrive(person) {
      const draft = drafts.read();
      if (!draft) return;
      if (!person) return drafts.write({ ...draft, stopped: true });
      const mine = draft.stopped && draft.person === person;
      if (mine && draft.path !== location.pathname) return;
      drafts.write(null);
      if (mine) drafts.restore(draft.forms);
    },
    restore(kept) {
      document.querySelectorAll("form").forEach((form) => {
        const values = kept[drafts.nameOf(form)];
        if (!values) return;
        drafts.fields(form).forEach((field) => drafts.fill(field, values[field.name] ?? []));
        const line = document.createElement("p");
        line.className = "field-help kept";
        line.setAttribute("role", "status");
        line.textContent = "We kept what you typed. It isn't saved yet.";
        form.prepend(line);
        if (form.closest("dialog")) dialogs.open(form.closest("dialog").id);
      });
    },
    fill(field, values) {
      if (field.matches("[type='checkbox'], [type='radio']")) field.checked = values.includes(field.value);
      else if (field.multiple) [...field.options].forEach((option) => (option.selected = values.includes(option.value)));
      else if (values.length) field.value = values[0];
    },
    keep(form) {
      const person = document.body.dataset.person;
      if (!person || !(form instanceof HTMLFormElement) || form.getAttribute("method")?.toLowerCase() !== "post") return;
      const names = new Set(drafts.fields(form).map((field) => field.name));
      if (!names.size) return;
      const typed = new FormData(form);
      const values = Object.fromEntries([...names].map((name) => [name, typed.getAll(name)]));
      const { forms } = drafts.read() ?? {};
      drafts.write({ person, path: location.pathname, forms: { ...forms, [drafts.nameOf(form)]: values } });
    },
    fields(form) {
      return [...form.elements].filter(
        (field) =>
          field.name &&
          field.matches("input, textarea, select") &&
          !field.matches("[type='hidden'], [type='password'], [type='file'], [data-not-kept], [data-submit-on-change]") &&
          !/^(cc-|one-time-code|current-password|new-password)/.test(field.autocomplete) &&
          !drafts.secret.test(field.name),
      );
    },
    nameOf(form) {
      return form.getAttribute("action") ?? "";
    },
    read() {
      try {
        return JSON.parse(sessionStorage.getItem(drafts.entry));
      } catch {
        return null; // A browser that keeps nothing: then nothing comes back.
      }
    },
    write(draft) {
      try {
        if (draft) sessionStorage.setItem(drafts.entry, JSON.stringify(draft));
        else sessionStorage.removeItem(drafts.entry);
      } catch {
        // As above.
      }
    },
  };

  [dialogs, menus, copying, theme, toasts, passkeys, ticks, keys, times, forms, drafts].forEach((part) => part.start());
})();
