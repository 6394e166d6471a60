// Shows what the point nearest to the pointer says of itself.
"use strict";
const tip = document.getElementById("tip");
let hot = null;
for (const svg of document.querySelectorAll("svg")) {
  const points = [...svg.querySelectorAll("path[aria-label][aria-roledescription='point']")];
  svg.addEventListener("pointermove", (event) => {
    let nearest = null;
    let least = 60 * 60;
    for (const point of points) {
      const box = point.getBoundingClientRect();
      const x = box.x + box.width / 2 - event.clientX;
      const y = box.y + box.height / 2 - event.clientY;
      if (x * x + y * y < least) [nearest, least] = [point, x * x + y * y];
    }
    hot?.classList.remove("hot");
    hot = nearest;
    tip.hidden = !hot;
    if (!hot) return;
    hot.classList.add("hot");
    tip.textContent = hot.getAttribute("aria-label");
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${event.clientY + 16}px`;
  });
  svg.addEventListener("pointerleave", () => {
    hot?.classList.remove("hot");
    tip.hidden = true;
  });
}
