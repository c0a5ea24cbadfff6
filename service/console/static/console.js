"use strict";

// Replaces the list every few seconds; what the reader has opened stays open.
const everyMilliseconds = 5000;

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/", { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const open of document.querySelectorAll("details[open]")) {
    fresh.getElementById(open.id)?.setAttribute("open", "");
  }
  for (const part of ["header", "main"]) {
    document.querySelector(part).replaceWith(fresh.querySelector(part));
  }
}

async function keepFresh() {
  const stale = document.getElementById("stale");
  try {
    await refresh();
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  setTimeout(keepFresh, everyMilliseconds);
}

setTimeout(keepFresh, everyMilliseconds);
