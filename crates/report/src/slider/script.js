'use strict';
// A page shows one step without this. With it, the slider, a click on the map or `#step=12` shows another one.
const data = JSON.parse(document.getElementById('data').textContent);
const picker = document.querySelector('.picker');
// What was measured at some steps only has a row per measurement; anything else has one per column.
const sparse = {};
for (const group of Object.values(data.sparse)) for (const quantity of group.quantities) sparse[quantity] = group;

/** The figures of all places at a column. */
function row(quantity, column) {
  return data.values[quantity][sparse[quantity] ? sparse[quantity].rows[column] : column];
}

/** A figure as the tables show it. */
function text(value, share) {
  if (value === null || value === undefined) return '';
  if (value === 'NaN') return value;
  if (typeof value === 'string') return value === 'inf' ? '∞' : '−∞';
  if (value === 0) return '0';
  if (share) return (100 * value).toFixed(1) + ' %';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e4) return value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))));
  return value.toExponential(2).replace('+', '');
}

/** Sets the `d` of an element's path of that class, if it has one. */
function setPath(element, name, d) {
  const path = element.querySelector('.' + name);
  if (path) path.setAttribute('d', d);
}

function drawPlot(plot, column) {
  const y = (value) => {
    let place = plot.log ? Math.log10(Math.max(value, 1e-300)) : value;
    if (plot.floor) place = Math.max(place, plot.low);
    const at = plot.bottom - (place - plot.low) / (plot.high - plot.low) * (plot.bottom - plot.top);
    return Math.min(9999, Math.max(-9999, at)).toFixed(1);
  };
  for (const series of plot.series) {
    const element = document.getElementById(series.id);
    if (!element) continue;
    let line = '', dots = '', pen = 'M';
    const upper = [], lower = [];
    series.at.forEach((place, i) => {
      const value = row(series.of, column)[place];
      if (typeof value !== 'number') {
        pen = 'M';
        return;
      }
      const x = series.x[i].toFixed(1), at = x + ' ' + y(value);
      line += pen + at;
      if (i % series.each === 0) dots += 'M' + at + series.marker;
      pen = 'L';
      const spread = series.spread && row(series.spread, column)[place];
      if (typeof spread === 'number') {
        upper.push(x + ' ' + y(value + spread));
        lower.unshift(x + ' ' + y(value - spread));
      }
    });
    setPath(element, 'line', line);
    setPath(element, 'reach', line);
    setPath(element, 'dots', dots);
    setPath(element, 'band', upper.length ? 'M' + upper.concat(lower).join('L') + 'Z' : '');
  }
}

/** A bar of its own, as high as a digit says. */
function bar([left, right], digit) {
  return digit === '0' ? '' : `M${left.toFixed(1)} 0V${parseInt(digit, 36)}H${right.toFixed(1)}V0z`;
}

/** Bars are in units of exponents and of heights, whatever range is shown. */
function drawPanel(id, panel, column) {
  const [numbers, sides] = ['numbers', 'sides'].map((name) => document.querySelectorAll(`#${id} .${name} > g`));
  panel.rows[data.sparse[id].rows[column]].forEach((row, place) => {
    const [special, first, heights] = (row ?? '0000,0,').split(',');
    let whole = '', end = Number(first);
    for (const digit of heights) whole += `V${parseInt(digit, 36)}H${++end}`;
    if (whole) whole = `M${first} 0${whole}V0z`;
    const [zeros, infinite, nan] = [0, 2, 3].map((i, at) => bar(panel.columns[at], special[i]));
    const draw = (group, paths) => paths.forEach((d, i) => group.children[i].setAttribute('d', d));
    draw(numbers[place], [whole, bar(panel.subnormal, special[1])]);
    draw(sides[place], [zeros, infinite + nan]);
  });
}

function show(column) {
  for (const plot of data.plots) drawPlot(plot, column);
  for (const id in data.panels) drawPanel(id, data.panels[id], column);
  for (const cell of document.querySelectorAll('[data-of]')) {
    const value = row(cell.dataset.of, column)[cell.dataset.place];
    cell.textContent = text(value, 'share' in cell.dataset);
  }
  for (const span of document.querySelectorAll('[data-at]')) {
    const group = data.sparse[span.dataset.at];
    span.textContent = group ? group.steps[group.rows[column]] : data.steps[column];
  }
  const said = (texts) => texts.map((text) => data.judged.texts[text]).join('<br>');
  const judged = document.getElementById('judged');
  if (judged) judged.innerHTML = said(data.judged.network[column]);
  const cells = document.querySelectorAll('[data-judged]');
  if (cells.length) {
    const of = {};
    for (const [place, text] of data.judged.layers[column]) (of[place] ??= []).push(text);
    for (const cell of cells) cell.innerHTML = said(of[cell.dataset.judged] ?? []);
  }
  // Theory is about the first step.
  document.querySelector('main').classList.toggle('later', column > 0);
  for (const mark of document.querySelectorAll('.now')) {
    const x = Number(mark.dataset.left) + mark.dataset.width * (data.places[column] + 0.5);
    mark.setAttribute('transform', `translate(${x.toFixed(1)} 0)`);
  }
  const slider = document.getElementById('step');
  slider.value = column;
  slider.setAttribute('aria-valuetext', `step ${data.steps[column]}`);
  picker.querySelector('output').textContent = data.steps[column] + (data.loss ? ` · loss ${text(data.loss[column])}` : '');
}

/** A field of CSV. */
function field(text) {
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

/** The numbers of a figure at the step that is shown, as CSV; of the map, at all steps. */
window.numbersOf = (name) => {
  const slider = document.getElementById('step');
  const column = slider ? Number(slider.value) : data.shown;
  if (name === 'delta-heat-map') {
    const lines = data.steps.map((step, i) => [step, ...row('delta_rms', i).map((value) => value ?? '')].join(','));
    return [['step', ...data.paths.layers.map(field)].join(','), ...lines].join('\n') + '\n';
  }
  const plot = data.plots.find((plot) => plot.name === name);
  if (plot) {
    const lines = ['curve,number,name,value,spread'];
    for (const series of plot.series) for (const place of series.at) {
      const value = row(series.of, column)[place] ?? '', spread = series.spread ? row(series.spread, column)[place] ?? '' : '';
      lines.push([field(series.name), data.numbers[series.paths][place], field(data.paths[series.paths][place]), value, spread].join(','));
    }
    return lines.join('\n') + '\n';
  }
  const panel = data.panels[name];
  if (!panel) return '';
  // Of the highest in its row, which has 35.
  const lines = ['name,exponent of 2,root of share (highest 35)'];
  panel.rows[data.sparse[name].rows[column]].forEach((text, place) => {
    if (text === null) return;
    const [special, first, heights] = text.split(',');
    ['zero', 'subnormal', 'infinite', 'NaN'].forEach((what, i) => lines.push([field(panel.labels[place]), what, parseInt(special[i], 36)].join(',')));
    [...heights].forEach((digit, i) => lines.push([field(panel.labels[place]), Number(first) + i, parseInt(digit, 36)].join(',')));
  });
  return lines.join('\n') + '\n';
};

/** The column of the step that the address asks for, or the one that the page came with. */
function asked() {
  const found = /^#step=(\d+)$/.exec(location.hash);
  if (!found) return data.shown;
  // As --step: the last that is shown up to it.
  return Math.max(0, data.steps.findLastIndex((step) => step <= Number(found[1])));
}

if (picker) {
  const slider = document.getElementById('step');
  const button = picker.querySelector('button');
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = '▶';
    button.setAttribute('aria-label', 'play');
  };
  // An address to pass on.
  const settle = () => location.replace('#step=' + data.steps[slider.value]);
  slider.addEventListener('input', () => { stop(); show(Number(slider.value)); });
  slider.addEventListener('change', settle);
  button.addEventListener('click', () => {
    if (timer) {
      stop();
      settle();
      return;
    }
    if (Number(slider.value) === data.steps.length - 1) show(0);
    button.textContent = '❚❚';
    button.setAttribute('aria-label', 'pause');
    // Ten seconds for the longest recording.
    timer = setInterval(() => {
      if (Number(slider.value) < data.steps.length - 1) show(Number(slider.value) + 1);
      else stop();
    }, 50);
  });
  for (const mark of document.querySelectorAll('.now')) {
    const svg = mark.ownerSVGElement;
    svg.addEventListener('click', (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      const place = (x - mark.dataset.left) / mark.dataset.width;
      // What is between two columns is a gap.
      const column = data.places.findIndex((left) => left <= place && place < left + 1);
      if (column < 0) return;
      stop();
      show(column);
      settle();
    });
  }
  window.addEventListener('hashchange', () => { if (!timer) show(asked()); });
  picker.hidden = false;
  show(asked());
}
