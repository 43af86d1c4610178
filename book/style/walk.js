/* The front page's picture: it walks to and fro until somebody takes the slider or the button, or wants no motion. */
document.addEventListener("DOMContentLoaded", () => {
  const walk = document.querySelector(".pags-walk");
  if (!walk) return;
  const last = Number(walk.dataset.last);
  const pictures = walk.querySelectorAll(".pags-step");
  const hand = walk.querySelector(".pags-walk-hand");
  const slider = hand.querySelector("input");
  const button = hand.querySelector("button");
  let timer = null;
  let towards = 1;
  const show = () => {
    for (const picture of pictures) picture.style.backgroundPositionY = `${(100 * slider.value) / last}%`;
    const middle = last / 2;
    const part = Math.round((100 * (slider.value - middle)) / middle);
    slider.setAttribute("aria-valuetext", `${Math.abs(part)} % of the way to the ${part < 0 ? "left" : "right"}`);
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Move";
  };
  const go = () => {
    button.textContent = "Pause";
    timer = setInterval(() => {
      const at = Number(slider.value);
      if (at + towards < 0 || at + towards > last) towards = -towards;
      slider.value = at + towards;
      show();
    }, 90);
  };
  slider.addEventListener("input", () => {
    stop();
    show();
  });
  button.addEventListener("click", () => (timer === null ? go() : stop()));
  hand.hidden = false;
  show();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) go();
});
