// The page: what is chosen, what is drawn of it, and what is shown.
import * as camera from './camera.js';
import {show, showPart} from './canvas.js';
import * as labels from './labels.js';
import * as kept from './kept.js';
import * as local from './local.js';
import {recall, remember} from './memory.js';
import * as server from './server.js';
import {nameOf, speak, text, word} from './strings.js';

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const LARGEST = 16e6;  // pixels of a photo in this browser: some allow a canvas no more

const state = {
  filters: [],
  filter: null,  // an entry of `filters`
  card: null,  // of it
  photo: null,  // {blob, name, bitmap}; bitmap is null where this browser cannot read the file
  part: 'face',  // "face", "paste" (faces in the photo), "center" or "none"
  answers: {},  // of labels, {"set.group": value}
  seed: 1,
  local: recall('local') === 'yes',
  said: [],  // what the status says, to be said again in another language: texts and their values
};

// Where the filter runs now.
const isLocal = () => state.local && Boolean(state.filter?.model);
const isGenerator = () => state.filter?.kind === 'latent';
const usualPart = ({subject, kind}) => subject === 'face' || kind === 'labels' ? 'face' : 'none';


// --- Drawing ---------------------------------------------------------------------------------------------------------

let aborter = new AbortController();

// Draws again what is chosen now, and forgets what was being drawn.
async function draw() {
  aborter.abort();
  const {signal} = aborter = new AbortController();
  layOut();
  if (camera.isOpen() || !state.filter || !(state.photo || isGenerator())) return wait(false);
  say([isLocal() ? 'loading' : 'drawing']);
  wait(true);
  if (isLocal() && !state.card) return;  // which is on its way, and draws when it is there
  const patience = setTimeout(() => isLocal() || say(['drawingLong', {host: server.HOST}]), 3000);
  try {
    const {blob, people, said} = await (isLocal() ? drawHere(signal) : drawThere(signal));
    if (signal.aborted) return;
    $('result').hidden = false;
    describe();
    offer(blob);
    if (people > 1 && state.part === 'face') said.push(['faces', {count: people}]);
    say(...said);
  } catch (error) {
    if (signal.aborted) return;
    showPhoto();
    fail(error);
  } finally {
    clearTimeout(patience);
    if (!signal.aborted) wait(false);
  }
}

function wait(busy) {
  $('busy').hidden = !busy;
  $('stage').setAttribute('aria-busy', busy);
}

// What both ways are asked.
function request() {
  const paste = state.part === 'paste';
  return {crop: paste ? 'face' : state.part, paste};
}

// The kind of file that is drawn: a whole photo stays a JPEG, which is a tenth as large; what is cut out loses nothing.
function kind() {
  const whole = state.part === 'paste' || state.part === 'none';
  return !isGenerator() && whole && state.photo.blob.type === 'image/jpeg' ? 'image/jpeg' : 'image/png';
}

async function drawHere(signal) {
  const {bitmap: photo} = state.photo;
  if (!photo) throw Object.assign(new Error(), {key: 'notPicture'});
  const scale = Math.min(1, Math.sqrt(LARGEST / (photo.width * photo.height)));
  const [width, height] = [photo.width, photo.height].map((side) => Math.round(side * scale));
  const bitmap = await createImageBitmap(photo, {resizeWidth: width, resizeHeight: height, resizeQuality: 'high'});
  const label = state.card.labels && labels.vector(state.card.labels, state.answers);
  const result = await local.translate({bitmap, model: state.filter.model, label, ...request()});
  if (!signal.aborted) {
    show($('before'), result.before);
    show($('after'), result.after);
    $('compare').classList.remove('alone');
  }
  const blob = await new Promise((resolve) => $('after').toBlob(resolve, kind(), 0.95));
  const said = [['doneLocal', {seconds: inSeconds(result.milliseconds), place: () => text(result.place)}]];
  if (scale < 1) said.push(['shrunk', {width, height}]);
  if (state.part === 'none' && result.after.width < width) {
    said.push(['fitted', {width: result.after.width, height: result.after.height}]);
  }
  if (state.photo.moves) said.push(['animation']);
  return {blob, people: result.people, said};
}

async function drawThere(signal) {
  const start = performance.now(), {crop, paste} = request();
  const options = isGenerator() ? {z_seed: state.seed, psi: $('psi').value} : {crop};
  if (paste) options.paste = 1;
  if (Object.keys(state.answers).length) options.label = labels.words(state.answers);
  const photo = isGenerator() ? null : state.photo.blob;
  const {blob, network, face, people, remarks} = await server.draw(state.filter, photo, options, kind(), signal);
  const after = await createImageBitmap(blob), milliseconds = performance.now() - start;
  if (!signal.aborted) {
    const comparable = photo && state.photo.bitmap && (crop !== 'face' || paste || face);
    if (comparable) showPart($('before'), state.photo.bitmap, {crop: paste ? 'none' : crop, face});
    show($('after'), after);
    $('compare').classList.toggle('alone', !comparable);
  }
  const values = {seconds: inSeconds(milliseconds), host: server.HOST, network: Math.round(network)};
  const said = [['doneServer', values], ...remarks.map((remark) => [remark])];
  if (isGenerator()) said.push(['seed', {seed: state.seed}]);
  return {blob, people, said};
}

const inSeconds = (milliseconds) => (milliseconds / 1000).toFixed(milliseconds < 995 ? 2 : 1);


// --- What is said ----------------------------------------------------------------------------------------------------

// Says texts of strings.js, [key, values] each; values may be functions, for words that follow the language.
function say(...said) {
  state.said = said;
  $('status').textContent = said.map(([key, values = {}]) => text(key, evaluated(values))).join(' ');
  $('status').className = '';
}

const evaluated = (values) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value instanceof Function ? value() : value]));

function fail(error) {
  say([error.key ?? 'failed', {reason: error.message, host: server.HOST}]);
  $('status').className = 'error';
  if (!error.key) console.error(error);
}

// What the two pictures show, for those who do not see them.
function describe() {
  const filter = state.filter && nameOf(state.filter);
  $('before').setAttribute('aria-label', text('beforeAlt'));
  $('after').setAttribute('aria-label', text(isGenerator() ? 'drawnAlt' : 'afterAlt', {filter}));
}

// Offers a picture for download.
function offer(blob) {
  URL.revokeObjectURL($('download').href);
  $('download').hidden = false;
  $('download').href = URL.createObjectURL(blob);
  const name = isGenerator() ? state.seed : state.photo.name.replace(/\.[^.]*$/, '');
  $('download').download = `${name}_${state.filter.name}.${blob.type === 'image/jpeg' ? 'jpg' : 'png'}`;
}


// --- What is seen ----------------------------------------------------------------------------------------------------

// Shows and hides what belongs to the state of things.
function layOut() {
  const live = camera.isOpen(), has = live || state.photo || isGenerator();
  const focused = document.activeElement;
  $('empty').hidden = Boolean(has);
  $('actions').hidden = !has;
  if (!has) $('result').hidden = true;
  $('dice').hidden = $('variety').hidden = !isGenerator();
  $('shutter').hidden = !live;
  $('download').hidden ||= live;
  $('again').hidden = isGenerator() && !live;
  for (const button of document.querySelectorAll('.camera')) {
    button.hidden = isGenerator() || (live && button.closest('#actions') !== null);
  }
  $('again').textContent = text(live ? 'stop' : 'again');
  $('crops').hidden = isGenerator();
  const possible = Boolean(state.filter?.model);
  $('local').disabled = !possible;
  $('local').checked = state.local && possible;
  const place = !possible ? 'serverOnly' : state.local ? 'placeLocal' : 'placeServer';
  $('place').textContent = state.filter ? text(place, {host: server.HOST}) : '';
  if (focused?.closest('[hidden]')) $('stage').focus();  // so that the keyboard goes on from there
}

// The photo alone, where nothing could be drawn of it.
function showPhoto() {
  $('result').hidden = !state.photo?.bitmap || isGenerator();
  $('download').hidden = true;
  if ($('result').hidden) return;
  show($('after'), state.photo.bitmap);
  $('after').setAttribute('aria-label', text('beforeAlt'));
  $('compare').classList.add('alone');
}

function showCut() {
  const percent = $('cut').value;
  $('compare').style.setProperty('--cut', `${percent}%`);
  $('cut').setAttribute('aria-valuetext', text('compareValue', {percent}));
}

function showFilters() {
  $('filters').replaceChildren(...state.filters.map((filter) => {
    const input = make('input', {type: 'radio', name: 'filter', value: filter.name, className: 'unseen'});
    input.checked = filter === state.filter;
    const letter = make('span', {className: 'blank', ariaHidden: 'true', textContent: nameOf(filter)[0]});
    const picture = filter.picture ? make('img', {src: filter.picture, alt: '', width: 160, height: 160}) : letter;
    picture.onerror = () => picture.replaceWith(letter);
    return make('label', {className: 'card'}, input, picture, make('span', {textContent: nameOf(filter)}));
  }));
}

function showAbout() {
  const {image_size: size, bytes, figures: {kid}} = state.filter, filter = nameOf(state.filter);
  const facts = [text('about', {size})];
  if (bytes) facts.push(text('megabytes', {megabytes: (bytes / 1e6).toFixed(1)}));
  if (kid !== undefined) facts.push(text('kid', {kid: kid.toFixed(1)}));
  const link = make('a', {href: state.filter.card, target: '_blank', textContent: text('card')});
  link.setAttribute('aria-label', text('cardOf', {filter}));
  $('about').replaceChildren(`${facts.join(' · ')} · `, link);
}

// A row of radio buttons that look like chips.
function chips(name, values, chosen, wording) {
  return values.map((value) => {
    const input = make('input', {type: 'radio', name, value, className: 'unseen', checked: value === chosen});
    return make('label', {className: 'chip'}, input, make('span', {textContent: wording(value)}));
  });
}

function showParts() {
  const parts = ['face', 'paste', 'center', 'none'];
  $('crops').querySelector('.chips').replaceChildren(...chips('part', parts, state.part, text));
}

function showLabels() {
  const {labels: groups, optional} = state.filter;
  $('labels').replaceChildren(...groups.map(({name, set, values}) => {
    const key = `${set}.${name}`, offered = optional ? ['', ...values] : values;
    const row = make('div', {className: 'chips'},
      ...chips(key, offered, state.answers[key] ?? '', (value) => value ? word(value) : text('any')));
    return make('fieldset', {}, make('legend', {textContent: word(name)}), row);
  }));
}

// Everything in the language that is spoken now.
function showAll() {
  speak();
  showFilters();
  showParts();
  if (state.filter) {
    showAbout();
    showLabels();
  }
  showCut();
  describe();
  const {className} = $('status');
  say(...state.said);
  $('status').className = className;
  layOut();
}


// --- What is chosen --------------------------------------------------------------------------------------------------

// The first value of each group of a set, or of the first `count` of them.
function usualAnswers(set, count) {
  const groups = state.filter.labels.filter((group) => group.set === set).slice(0, count);
  return Object.fromEntries(groups.map(({name, values}) => [`${set}.${name}`, values[0]]));
}

async function choose(filter) {
  const before = state.filter;
  [state.filter, state.card, state.answers] = [filter, null, {}];
  if (!before || usualPart(before) !== usualPart(filter)) state.part = usualPart(filter);
  if (filter.labels.length) state.answers = usualAnswers(filter.labels[0].set, filter.optional ? 1 : undefined);
  if (isGenerator()) camera.close();
  showAbout();
  showParts();
  showLabels();
  layOut();
  return fetchCard();
}

// Fetches the card of the filter, and draws.
async function fetchCard() {
  const {filter} = state;
  if (state.photo || isGenerator()) wait(true);
  try {
    const card = await server.card(filter);
    if (state.filter !== filter) return;
    state.card = card;
    await draw();
    if (filter.model) kept.keepFilter(filter);
  } catch (error) {
    wait(false);
    fail(error);
  }
}

let takes = 0;  // photos that were begun to be taken: of several at once the last counts

async function take(blob, name = 'photo') {
  const number = ++takes, forPhotos = () => state.filters.find(({kind}) => kind !== 'latent');
  if (isGenerator() && !forPhotos()) {
    wait(false);
    return fail({key: 'noneForPhotos'});
  }
  aborter.abort();
  wait(true);
  camera.close();
  const [bitmap, moving] = await Promise.all([
    createImageBitmap(blob).catch(() => null),
    moves(blob).catch(() => false),
  ]);
  if (number !== takes) return bitmap?.close();  // another was taken, or all were put away
  state.photo?.bitmap?.close();
  state.photo = {blob, name, bitmap, moves: moving};
  showPhoto();
  if (isGenerator()) {  // it takes no photo: go on with the first filter that does
    const filter = forPhotos();
    document.querySelector(`input[value="${CSS.escape(filter.name)}"]`).checked = true;
    return choose(filter);
  }
  return draw();
}

// Whether a file holds a moving picture, where the browser can tell.
async function moves(blob) {
  if (!self.ImageDecoder || !await ImageDecoder.isTypeSupported(blob.type)) return false;
  const decoder = new ImageDecoder({data: await blob.arrayBuffer(), type: blob.type});
  await decoder.tracks.ready;
  const {animated} = decoder.tracks.selectedTrack;
  decoder.close();
  return animated;
}

function forget() {
  takes += 1;
  state.photo?.bitmap?.close();
  state.photo = null;
  aborter.abort();
  wait(false);
  say();
  layOut();
}


// --- The camera ------------------------------------------------------------------------------------------------------

let frame;  // the last one

async function watch() {
  if (!navigator.mediaDevices) return fail({key: 'noCameraHere'});
  try {
    let last = performance.now(), rate = 0, told = 0;
    aborter.abort();
    wait(false);
    await camera.open(async (canvas) => {
      frame = canvas;
      const key = await showLive(canvas).catch((error) => {
        camera.close();
        layOut();
        fail(error);
      });
      if (!camera.isOpen()) return;
      $('result').hidden = false;
      const now = performance.now();
      rate += 0.1 * (1000 / (now - last) - rate);
      last = now;
      if (now - told < 2000) return;  // those who listen hear it all
      told = now;
      if (key.place) say(['live', {rate: Math.max(1, Math.round(rate)), place: () => text(key.place)}]);
      else say([key]);
    });
    say(['loading']);
    describe();
  } catch (error) {
    fail({key: 'noCamera', message: error.message});
  }
  layOut();
}

// Shows a frame and what the filter makes of it; returns {place}, or what there is to say instead.
async function showLive(canvas) {
  const {filter, card} = state, raw = await createImageBitmap(canvas);
  const showRaw = () => {
    show($('before'), raw);
    show($('after'), raw);
  };
  $('compare').classList.remove('alone');
  if (!filter.model || !card) {
    showRaw();
    return filter.model ? 'loading' : 'liveRaw';
  }
  const label = card.labels && labels.vector(card.labels, state.answers);
  const part = state.part === 'face' ? {crop: 'face', paste: true} : request();  // crops would jump about
  try {
    const bitmap = await createImageBitmap(canvas);
    const result = await local.translate({bitmap, model: filter.model, label, ...part});
    if (!camera.isOpen()) return null;
    show($('before'), result.before);
    show($('after'), result.after);
    return {place: result.place};
  } catch (error) {
    if (error.key !== 'noFace') throw error;
    showRaw();
    return 'liveNoFace';
  }
}


// --- What people do --------------------------------------------------------------------------------------------------

$('file').onchange = ({target}) => {
  const [file] = target.files;
  if (file) take(file, file.name);
  target.value = '';
};
$('sample').onclick = async () => {
  const number = ++takes;
  wait(true);
  const blob = await fetch('/page/astronaut.webp').then((response) => response.blob()).catch(() => null);
  if (number !== takes) return;  // another photo was taken meanwhile
  if (blob) return take(blob, 'astronaut');
  wait(false);
  return fail({key: 'noServer'});
};
$('again').onclick = () => {
  if (!camera.isOpen()) return forget();
  camera.close();
  return state.photo ? draw() : forget();
};
$('dice').onclick = () => {
  state.seed = crypto.getRandomValues(new Uint32Array(1))[0];
  draw();
};
$('shutter').onclick = async () => {
  const number = ++takes;
  wait(true);
  camera.close();
  const blob = await frame.convertToBlob();
  if (number === takes) take(blob, 'camera');
};
for (const button of document.querySelectorAll('.camera')) button.onclick = watch;
for (const button of document.querySelectorAll('.languages button')) {
  button.onclick = () => {
    speak(button.value);
    showAll();
  };
}
$('cut').oninput = showCut;
$('psi').onchange = draw;
$('local').onchange = ({target}) => {
  state.local = target.checked;
  remember('local', state.local ? 'yes' : 'no');
  layOut();
  if (state.filter && !state.card) fetchCard();  // which failed before
  else draw();
};
$('settings').onsubmit = (event) => event.preventDefault();
$('filters').onchange = ({target}) => choose(state.filters.find(({name}) => name === target.value));
$('crops').onchange = ({target}) => {
  state.part = target.value;
  draw();
};
$('labels').onchange = ({target: {name, value}}) => {
  const {labels: groups, optional} = state.filter, {set} = groups.find((group) => `${group.set}.${group.name}` === name);
  if (!Object.keys(state.answers).some((key) => key.startsWith(`${set}.`))) {  // labels of one set at a time
    state.answers = optional ? {} : usualAnswers(set);
  }
  if (value) state.answers[name] = value;
  else if (Object.keys(state.answers).length > 1) delete state.answers[name];  // at least one is named
  showLabels();
  $('labels').querySelector(`input[name="${CSS.escape(name)}"]:checked`)?.focus();
  draw();
};

const pictureOf = (transfer) => [...transfer?.files ?? []].find(({type}) => type.startsWith('image/'));
document.onpaste = ({clipboardData}) => {
  const file = pictureOf(clipboardData);
  if (file) take(file, file.name);
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add('dragging');
};
document.ondragleave = ({relatedTarget}) => {
  if (!relatedTarget) document.body.classList.remove('dragging');
};
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove('dragging');
  const [file] = event.dataTransfer.files;
  if (file) take(file, file.name);
};

async function begin() {
  showAll();
  kept.begin();
  try {
    state.filters = await server.filters();
  } catch (error) {
    return fail(error);
  }
  if (!state.filters.length) return fail({key: 'noFilters'});
  // First those that run here too, the largest pictures first, and of equals the largest file: it draws best.
  state.filters.sort((a, b) =>
    Boolean(b.model) - Boolean(a.model) || b.image_size - a.image_size || b.bytes - a.bytes);
  const [first] = state.filters;
  state.filter = first;
  showFilters();
  state.filter = null;
  kept.keep(state.filters.map(({picture}) => picture).filter(Boolean));
  return choose(first);
}

begin();
