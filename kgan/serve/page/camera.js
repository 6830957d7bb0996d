// The camera, frame by frame.
import {mirrored} from './canvas.js';

let stream;

// Opens the camera and hands on frames, one after the other, until `close` is called: each is an OffscreenCanvas, and the
// next one comes when the promise that `take` returns for it is settled.
export async function open(take) {
  close();
  stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'user', width: {ideal: 640}}, audio: false});
  const own = stream, video = document.createElement('video');
  Object.assign(video, {srcObject: stream, muted: true, playsInline: true});
  await video.play();
  (async () => {
    while (stream === own && own.active) {
      await take(mirrored(video));
      await new Promise(requestAnimationFrame);
    }
  })();
}

export function close() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
}

export const isOpen = () => Boolean(stream);
