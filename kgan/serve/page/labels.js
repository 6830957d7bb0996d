// Labels as kgan/labels.py has them: groups of values, in sets, and the vector of numbers that a filter takes.

// The numbers that stand for chosen answers, {"set.group": answer}: one for what is chosen, then which set is meant.
export function vector({sets}, answers) {
  const numbers = [];
  let chosen = 0;
  for (const [i, set] of sets.entries()) {
    for (const {name, values} of set.groups) {
      const answer = answers[`${set.name}.${name}`];
      if (answer) chosen = i;
      numbers.push(...values.map((value) => Number(value === answer)));
    }
  }
  return sets.length > 1 ? [...numbers, ...sets.map((_, i) => Number(i === chosen))] : numbers;
}

// The same in words, as the server takes them.
export function words(answers) {
  return Object.entries(answers).map(([name, answer]) => `${name}=${answer}`).join(',');
}
