"use strict";
// The token stays in this page.
for (const form of document.querySelectorAll("form.ask")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("output"), body = form.querySelector("textarea");
    const token = document.getElementById("token").value, headers = {};
    if (body) headers["content-type"] = "application/json";
    if (token) headers.authorization = "Bearer " + token;
    shown.textContent = "…";
    try {
      const answer = await fetch(new URL(form.dataset.path, location.origin), {method: form.dataset.method, headers, body: body && body.value});
      const text = await answer.text();
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON: shown as it is */ }
      shown.textContent = answer.status + " " + answer.statusText + "\n" + pretty;
    } catch (error) {
      shown.textContent = String(error);
    }
  });
}

function opened() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) { target.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", opened);
opened();
