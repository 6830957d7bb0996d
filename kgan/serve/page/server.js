// What the page asks the server: which filters there are, and pictures drawn by them.
export const HOST = location.host;

// What the server refused: its status and its sentence.
export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    const keys = {413: 'tooLarge', 415: 'notPicture', 429: 'busy', 503: 'busy'};
    this.key = keys[status] ?? (status === 422 && message.startsWith('No face') ? 'noFace' : undefined);
  }
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw Object.assign(new Error(String(error)), {key: 'noServer'});
  }
  if (response.ok) return response;
  const {error} = await response.json().catch(() => ({}));
  throw new ServerError(response.status, error ?? `${response.status} ${response.statusText}`);
}

export const filters = async () => (await (await ask('/v1/filters')).json()).filters;
export const card = async (filter) => (await ask(filter.card)).json();

// A picture drawn by the server.
//
//   filter: an entry of `filters`.
//   photo: a Blob, or null for a generator.
//   options: crop, paste, label, z_seed and psi, as far as they are needed.
//   kind: of the picture's file, "image/png" or "image/jpeg".
//
// Returns {blob, network, face, people, remarks}: the picture; the network's milliseconds; where the face lay that was
// cut out, {center: [x, y], side, angle}; how many there were; and what of the file was not drawn, "animation" or
// "pages".
export async function draw(filter, photo, options, kind, signal) {
  const query = new URLSearchParams(options);
  const response = await ask(`/v1/filters/${encodeURIComponent(filter.name)}?${query}`, {
    method: 'POST',
    body: photo,
    headers: {Accept: kind, 'Content-Type': photo?.type || 'application/octet-stream'},
    signal,
  });
  const numbers = response.headers.get('X-Kgan-Face')?.split(',').map(Number);
  return {
    blob: await response.blob(),
    network: Number(response.headers.get('X-Kgan-Milliseconds')),
    face: numbers && {center: numbers.slice(0, 2), side: numbers[2], angle: numbers[3]},
    people: Number(response.headers.get('X-Kgan-Faces')),
    remarks: response.headers.get('X-Kgan-Remarks')?.split(', ') ?? [],
  };
}
