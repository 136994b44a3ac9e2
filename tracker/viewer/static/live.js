// The page of a live source: asks for the newest frame again and again, one request at a time.

const picture = document.getElementById("live-frame");
const facts = document.getElementById("live-facts");
let last = -1;

async function next() {
  const answer = await fetch(`frame.jpg?after=${last}`);
  if (answer.status !== 200) return;
  last = Number(answer.headers.get("X-Frame"));
  facts.textContent = answer.headers.get("X-Text");
  const before = picture.src;
  picture.src = URL.createObjectURL(await answer.blob());
  if (before) URL.revokeObjectURL(before);
}

async function run() {
  for (;;) {
    try {
      await next();
    } catch {
      facts.textContent = "the session has ended";
      return;
    }
  }
}

run();
