'use strict';
// Buttons under each figure: what it shows now, as SVG, as PNG, and its numbers as CSV.
(() => {
  const LINE = 17, LETTER = 7.6, MARGIN = 12;

  /** Offers a file. */
  function save(name, type, content) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /** Lines of at most so many letters. */
  function wrapped(words, letters) {
    const lines = [''];
    for (const word of words.split(/\s+/)) {
      const line = lines[lines.length - 1];
      if (line && line.length + 1 + word.length > letters) lines.push(word);
      else lines[lines.length - 1] = line ? line + ' ' + word : word;
    }
    return lines;
  }

  /** The figure by itself: what it looks like stands in its elements, so that it needs no style of the page's. */
  function standalone(figure) {
    const svg = figure.querySelector('svg');
    const copy = svg.cloneNode(true);
    const shown = svg.querySelectorAll('*');
    const remove = [];
    copy.querySelectorAll('*').forEach((element, i) => {
      const { display, transform } = getComputedStyle(shown[i]);
      if (display === 'none' || element.matches('.now, .reach')) remove.push(element);
      // What the style sheet has moved or stretched is so in the copy.
      if (element.style.length > 0) {
        element.removeAttribute('style');
        if (transform !== 'none') element.setAttribute('transform', transform);
      }
    });
    remove.forEach((element) => element.remove());
    const { width, height } = svg.viewBox.baseVal;
    const lines = wrapped(figure.querySelector('figcaption').textContent.trim(), width / LETTER);
    const room = LINE * lines.length + 10;
    const attributes = { xmlns: svg.namespaceURI, width, height: height + room, viewBox: `0 ${-room} ${width} ${height + room}` };
    for (const [name, value] of Object.entries(attributes)) copy.setAttribute(name, value);
    copy.removeAttribute('style');
    const add = (name, attributes, text) => {
      const element = document.createElementNS(svg.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = text;
      copy.prepend(element);
    };
    lines.forEach((line, i) => add('text', {
      x: MARGIN, y: LINE * (i + 1) - room, fill: '#1d2129', 'font-size': 12, 'font-weight': 600, 'font-family': 'system-ui, sans-serif',
    }, line));
    add('rect', { x: 0, y: -room, width, height: height + room, fill: '#fff' }, '');
    return { text: new XMLSerializer().serializeToString(copy), width, height: height + room };
  }

  function png({ text, width, height }, name) {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement('canvas');
      // Three hundred dots an inch for a figure of the width of a page.
      const scale = Math.min(2400 / width, 16000 / height);
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => { if (blob) save(name, 'image/png', blob); });
    };
    image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(text);
  }

  for (const figure of document.querySelectorAll('figure')) {
    const name = figure.dataset.name;
    const bar = document.createElement('p');
    bar.className = 'export';
    const button = (label, what) => {
      const element = document.createElement('button');
      element.type = 'button';
      element.textContent = label;
      element.setAttribute('aria-label', `${figure.querySelector('figcaption').firstChild.textContent.trim()} as ${label}`);
      element.addEventListener('click', what);
      bar.append(element);
    };
    button('SVG', () => save(name + '.svg', 'image/svg+xml', standalone(figure).text));
    button('PNG', () => png(standalone(figure), name + '.png'));
    const numbers = figure.querySelector('template.csv');
    // What the page's own script draws, it knows the numbers of.
    if (numbers || window.numbersOf) {
      button('CSV', () => save(name + '.csv', 'text/csv', numbers ? numbers.content.textContent.trim() + '\n' : window.numbersOf(name)));
    }
    figure.append(bar);
  }
})();
