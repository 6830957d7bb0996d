"""Filters behind HTTP: a page to try them on, pictures in and out, and TensorFlow Serving's contract.

| request | answer |
|---|---|
| `GET /` | the page, `kgan/serve/page/index.html`; what it needs lies at `/page/PATH` |
| `GET /healthz` | 200 `{"status": "ok"}`, or "partly" and why where a version could not be loaded |
| `GET /v1/filters` | `{"filters": [...]}`, of each: see `kgan.serve.describe.describe` |
| `GET /v1/filters/NAME/card` | its card |
| `GET /v1/filters/NAME/model` | its `.tflite` file, with the sha256 as ETag; 404 where it has none |
| `GET /v1/filters/NAME/picture` | an example of what it draws, a small WebP |
| `GET /v1/assets/blazeface` | the face finder, a `.tflite` file: see `kgan.pictures.faces` |
| `POST /v1/filters/NAME?OPTIONS` | the filtered picture |
| `POST /v1/models/NAME[/versions/N or /labels/L]:predict` | as TensorFlow Serving answers, see `kgan.serve.protocol` |
| `GET /v1/models/NAME[/versions/N or /labels/L][/metadata]` | likewise |
| `GET /monitoring/prometheus/metrics` | likewise |

What is posted to a filter is a picture: its bytes as they are, or as the first file of multipart/form-data. A generator
of noise takes an empty body. The options are those of `kgan translate` and `kgan generate`:

* `crop`: auto, face, center or none; `paste=1`: blend faces back into the photo; `size`: side of a crop in pixels;
* `label`: hair=blonde,eyes=blue; `tile`: for filters that cannot take a large photo at once;
* `z_seed` and `psi`: of a generator, what to draw and how near to the average.

The header Accept chooses image/png, image/jpeg or image/webp; PNG where it leaves the choice. The answer's headers:

* `X-Kgan-Milliseconds`: of the model alone; `X-Kgan-Runtime`: what ran it; `Server-Timing`: the same and the whole;
* `X-Kgan-Faces`: how many were found; without `paste` the answer is the largest;
* `X-Kgan-Face`: of the face that was cut out x and y of its middle, its side in pixels, and its lean in radians;
* `X-Kgan-Remarks`: "animation" or "pages" where the picture had several frames, of which the first was taken.

What cannot be answered is said in `{"error": "a sentence"}`:

* 400: an option that is not there or cannot be read; 403: a page of another site asks;
* 404: a name that is not there; 406: Accept names no such kind;
* 408: a body that comes too slowly; 413: too many bytes or pixels; 415: no picture;
* 422: a picture that is damaged or shows no face, or options that do not fit the filter;
* 429: too many wait already, try again after the seconds in Retry-After; 503: it starts, stops, or holds too many
  uploads; 504: the time limit.
"""
