'use strict';
// Maps of steps in time at the training step that is shown. Runs behind the script of the slider, and with its functions.

function drawMap(map, column) {
  const svg = document.getElementById(map.id), count = map.times.length;
  const { left, top, width, height, low, high } = map.place;
  const levels = [...svg.querySelectorAll('.cells path')], cells = levels.map(() => '');
  const special = { zero: '', infinite: '', nan: '' };
  row(map.of, column).forEach((value, i) => {
    if (value === null) return;
    const x = i % count, y = Math.floor(i / count);
    const name = { 0: 'zero', inf: 'infinite', NaN: 'nan' }[value];
    if (name) {
      const [at, below] = [left + width * x, top + height * y].map((place) => place.toFixed(1));
      special[name] += `M${at} ${below}h${width.toFixed(1)}v${height.toFixed(1)}h-${width.toFixed(1)}z`;
    } else {
      const level = Math.floor((Math.log10(value) - low) / (high - low) * levels.length);
      cells[Math.min(levels.length - 1, Math.max(0, level))] += `M${x} ${y}h1`;
    }
  });
  levels.forEach((path, i) => path.setAttribute('d', cells[i]));
  for (const name in special) svg.querySelector('path.' + name).setAttribute('d', special[name]);
}

{
  const [showOthers, numbersOfOthers] = [show, window.numbersOf];
  show = (column) => {
    showOthers(column);
    for (const map of data.maps) drawMap(map, column);
  };
  window.numbersOf = (name) => {
    const map = data.maps.find((map) => map.name === name);
    if (!map) return numbersOfOthers(name);
    const slider = document.getElementById('step'), values = row(map.of, slider ? Number(slider.value) : data.shown);
    const line = (name, i) => [field(name), ...values.slice(i * map.times.length, (i + 1) * map.times.length).map((value) => value ?? '')].join(',');
    return [['step in time', ...map.times].join(','), ...map.rows.map(line)].join('\n') + '\n';
  };
  if (picker) show(asked());
}
