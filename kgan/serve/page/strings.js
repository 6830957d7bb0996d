import {recall, remember} from './memory.js';

// Everything that the page says, in each language. `{name}` stands for what `text(key, {name})` gives.
export const STRINGS = {
  en: {
    title: 'A photo in, a drawing out',
    lead: 'Pick a filter, give it a photo, and pull the line across to compare.',
    language: 'Language',
    picture: 'Picture',
    drop: 'Drop a photo here, or paste one',
    choose: 'Choose a photo',
    camera: 'Use the camera',
    sample: 'or try an astronaut',
    before: 'Before',
    after: 'After',
    beforeAlt: 'The photo',
    afterAlt: 'What {filter} draws of it',
    drawnAlt: 'A picture drawn by {filter}',
    compare: 'Before and after: where the line lies',
    compareValue: '{percent} percent of the width shows the photo',
    download: 'Download',
    again: 'Another photo',
    filter: 'Filter',
    part: 'What is drawn',
    face: 'The face',
    paste: 'The face, in the photo',
    center: 'The middle',
    none: 'The whole photo',
    any: 'as it is',
    dice: 'Another one',
    variety: 'Variety',
    shutter: 'Take this picture',
    stop: 'Stop the camera',
    local: 'In this browser',
    placeServer: 'Photos go to {host}, are drawn there, and are not kept.',
    placeLocal: 'The photo stays on this device: the filter comes to it.',
    serverOnly: 'This filter runs on {host} alone: it has no .tflite file.',
    footer: 'The camera’s moving pictures are drawn in this browser, always. The astronaut is Eileen Collins, photographed by NASA.',
    about: '{size} × {size} pixels',
    megabytes: '{megabytes} MB',
    kid: 'KID {kid} (lower is better)',
    card: 'Its card',
    cardOf: 'The card of {filter}: what it learned from, and how well',
    loading: 'Fetching the filter…',
    drawing: 'Drawing…',
    drawingLong: 'Drawing… {host} loads a filter when it is first asked for it.',
    doneServer: '{seconds} s by way of {host}; the filter itself took {network} ms.',
    doneLocal: '{seconds} s in this browser, {place}. The photo stayed here.',
    live: '{rate} pictures a second in this browser, {place}.',
    liveRaw: 'This filter cannot run in the browser: take a picture, and it is drawn.',
    liveNoFace: 'No face in view.',
    webgpu: 'on its graphics processor',
    threads: 'in WebAssembly with threads',
    wasm: 'in WebAssembly',
    faces: '{count} faces were found: this is the largest.',
    shrunk: 'The photo was made smaller for it: {width} × {height} pixels.',
    fitted: 'Here the filter takes no more than {width} × {height} pixels of a whole photo.',
    animation: 'It moves: this is its first picture.',
    pages: 'The file has several pages: this is the first.',
    noneForPhotos: 'None of these filters takes a photo: they draw out of nothing.',
    seed: 'Number {seed}.',
    noFilters: 'The server has no filters: its log says more.',
    noFace: 'No face was found. Choose “The middle” or “The whole photo” below, or another photo.',
    noModel: 'The filter could not be fetched. Is the server still there?',
    noServer: '{host} does not answer. Switch on “In this browser”, or try again later.',
    noCamera: 'The camera could not be used: {reason}',
    noCameraHere: 'Browsers open the camera on https and localhost pages only. On a phone, “Choose a photo” can take one.',
    notPicture: 'This file cannot be read as a picture. JPEG, PNG and WebP always can.',
    tooLarge: 'The photo is too large for the server. A smaller one will do, or “In this browser”.',
    busy: 'The server is busy. Try again in a moment.',
    failed: 'That did not work: {reason}',
    names: {
      onesided_selfie2anime: 'Anime',
      stargan_animefaces_utkface: 'Hair, eyes, age',
      stylegan_animefaces: 'Faces of nobody',
      pix2pix_facades: 'Facades',
    },
    words: {age_bin: 'age'},
  },
  ko: {
    title: '사진을 그림으로',
    lead: '필터를 고르고 사진을 넣은 다음, 선을 움직여 비교해 보세요.',
    language: '언어',
    picture: '그림',
    drop: '사진을 여기에 놓거나 붙여 넣으세요',
    choose: '사진 고르기',
    camera: '카메라 쓰기',
    sample: '또는 우주 비행사로 해 보기',
    before: '전',
    after: '후',
    beforeAlt: '원래 사진',
    afterAlt: '{filter} 필터가 그린 그림',
    drawnAlt: '{filter} 필터가 그린 그림',
    compare: '전과 후: 선의 위치',
    compareValue: '너비의 {percent}퍼센트가 원래 사진',
    download: '내려받기',
    again: '다른 사진',
    filter: '필터',
    part: '그릴 부분',
    face: '얼굴만',
    paste: '사진 속 얼굴',
    center: '가운데',
    none: '사진 전체',
    any: '그대로',
    dice: '하나 더',
    variety: '다양함',
    shutter: '이 장면 찍기',
    stop: '카메라 끄기',
    local: '이 브라우저에서',
    placeServer: '사진은 {host} 서버로 가서 그려지며, 보관되지 않습니다.',
    placeLocal: '사진은 이 기기를 떠나지 않습니다. 필터가 이리로 옵니다.',
    serverOnly: '이 필터는 .tflite 파일이 없어 {host} 서버에서만 돌아갑니다.',
    footer: '카메라 영상은 언제나 이 브라우저에서 그려집니다. 우주 비행사는 아일린 콜린스, 사진은 NASA.',
    about: '{size} × {size} 픽셀',
    megabytes: '{megabytes} MB',
    kid: 'KID {kid} (낮을수록 좋음)',
    card: '카드',
    cardOf: '{filter} 필터의 카드: 무엇으로 배웠고 얼마나 잘하는지',
    loading: '필터를 가져오는 중…',
    drawing: '그리는 중…',
    drawingLong: '그리는 중… {host} 서버는 필터를 처음 쓸 때 불러옵니다.',
    doneServer: '{host} 서버에서 {seconds}초, 그중 필터 자체는 {network}ms.',
    doneLocal: '이 브라우저에서 {seconds}초, {place}. 사진은 이 기기를 떠나지 않았습니다.',
    live: '이 브라우저에서 초당 {rate}장, {place}.',
    liveRaw: '이 필터는 브라우저에서 돌아가지 않습니다. 사진을 찍으면 그려집니다.',
    liveNoFace: '얼굴이 보이지 않습니다.',
    webgpu: '그래픽 프로세서 사용',
    threads: '스레드를 쓰는 WebAssembly',
    wasm: 'WebAssembly',
    faces: '얼굴 {count}개 중 가장 큰 것입니다.',
    shrunk: '사진을 {width} × {height} 픽셀로 줄였습니다.',
    fitted: '여기서는 사진 전체를 {width} × {height} 픽셀까지만 그립니다.',
    animation: '움직이는 그림이라 첫 장면만 그렸습니다.',
    pages: '여러 쪽짜리 파일이라 첫 쪽만 그렸습니다.',
    noneForPhotos: '여기에는 사진을 받는 필터가 없습니다. 모두 무에서 그립니다.',
    seed: '번호 {seed}.',
    noFilters: '서버에 필터가 없습니다. 자세한 것은 서버의 로그에 있습니다.',
    noFace: '얼굴을 찾지 못했습니다. 아래에서 ‘가운데’나 ‘사진 전체’를 고르거나 다른 사진을 써 보세요.',
    noModel: '필터를 가져오지 못했습니다. 서버가 켜져 있나요?',
    noServer: '{host} 서버가 대답하지 않습니다. ‘이 브라우저에서’를 켜거나 나중에 다시 해 보세요.',
    noCamera: '카메라를 쓸 수 없습니다: {reason}',
    noCameraHere: '브라우저는 https와 localhost 페이지에서만 카메라를 엽니다. 휴대폰에서는 ‘사진 고르기’로도 찍을 수 있습니다.',
    notPicture: '이 파일은 그림으로 읽을 수 없습니다. JPEG, PNG, WebP는 언제나 됩니다.',
    tooLarge: '서버가 받기에는 사진이 너무 큽니다. 더 작은 사진을 쓰거나 ‘이 브라우저에서’를 켜세요.',
    busy: '서버가 바쁩니다. 잠시 뒤에 다시 해 보세요.',
    failed: '되지 않았습니다: {reason}',
    names: {
      onesided_selfie2anime: '애니메이션',
      stargan_animefaces_utkface: '머리, 눈, 나이',
      stylegan_animefaces: '세상에 없는 얼굴',
      pix2pix_facades: '건물 정면',
    },
    words: {
      hair: '머리', eyes: '눈', age_bin: '나이', gender: '성별', aqua: '하늘색', black: '검정', blonde: '금발', blue: '파랑',
      brown: '갈색', gray: '회색', green: '초록', orange: '주황', pink: '분홍', purple: '보라', red: '빨강', white: '하양',
      yellow: '노랑', female: '여성', male: '남성', yes: '예', no: '아니요',
    },
  },
};

const LANGUAGES = Object.keys(STRINGS);
let language = LANGUAGES.find((each) => each === recall('language'))
  ?? navigator.languages.map((each) => each.slice(0, 2)).find((each) => LANGUAGES.includes(each)) ?? 'en';

export const current = () => language;

// Shows every text of the document in a language.
export function speak(chosen = language) {
  language = chosen;
  remember('language', language);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', text(element.dataset.label));
  }
  for (const button of document.querySelectorAll('.languages button')) {
    button.setAttribute('aria-pressed', button.value === language);
  }
}

export function text(key, values = {}) {
  return STRINGS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A filter's name: ours where we have one, else its title from the server.
export const nameOf = ({name, title}) => STRINGS[language].names[name] ?? title;

// A word of a card, such as a colour of hair.
export const word = (each) => STRINGS[language].words[each] ?? each;
