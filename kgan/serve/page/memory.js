// What the page remembers from visit to visit, where the browser lets it: the language, and where filters run.
export function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Told to remember nothing.
  }
}
