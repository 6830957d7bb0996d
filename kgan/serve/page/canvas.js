// Drawing on canvases: pictures, the square around a face, a mirrored frame.

// Gives a canvas a size, and what it lies in its proportions.
function sized(canvas, width, height) {
  [canvas.width, canvas.height] = [width, height];
  canvas.parentElement.style.setProperty('--proportion', width / height);
  return canvas.getContext('2d');
}

// Shows an ImageBitmap or a picture {width, height, data}.
export function show(canvas, image) {
  const context = sized(canvas, image.width, image.height);
  if (image.data) context.putImageData(new ImageData(image.data, image.width, image.height), 0, 0);
  else context.drawImage(image, 0, 0);
}

// Shows the part of a photo that a filter was given, at the photo's own detail.
export function showPart(canvas, bitmap, {crop, face}) {
  if (crop === 'face') {
    const size = Math.round(Math.min(1.55 * face.side, 1024)), [x, y] = face.center;
    const context = sized(canvas, size, size);
    context.translate(size / 2, size / 2);
    context.scale(size / (1.55 * face.side), size / (1.55 * face.side));
    context.rotate(-face.angle);
    context.drawImage(bitmap, -x, -y);
  } else if (crop === 'center') {
    const side = Math.min(bitmap.width, bitmap.height);
    sized(canvas, side, side).drawImage(bitmap, (side - bitmap.width) / 2, (side - bitmap.height) / 2);
  } else {
    show(canvas, bitmap);
  }
}

// The frame of a video as people know themselves from mirrors.
export function mirrored(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext('2d');
  context.scale(-1, 1);
  context.drawImage(video, -canvas.width, 0);
  return canvas;
}
