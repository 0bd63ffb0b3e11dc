// What a ring on a canvas is drawn with, around one middle.

import { angle, pointAt } from './geometry.js';

export class Strokes {
  // `context` draws in CSS pixels; `centre` is { x, y }.
  constructor(context, centre) {
    this.context = context;
    this.centre = centre;
  }

  ring([inner, outer], fill, from, to) {
    this.context.fillStyle = fill;
    this.#path(inner, outer, from, to);
    this.context.fill();
  }

  outline([inner, outer], from, to) {
    this.#path(inner, outer, from, to);
    this.context.closePath();
    this.context.stroke();
  }

  #path(inner, outer, from, to) {
    const { x, y } = this.centre;
    this.context.beginPath();
    this.context.arc(x, y, outer, angle(from), angle(to));
    this.context.arc(x, y, inner, angle(to), angle(from), true);
  }

  arc(radius, from, to) {
    this.context.beginPath();
    this.context.arc(this.centre.x, this.centre.y, radius, angle(from), angle(to));
    this.context.stroke();
  }

  // Lines across a stretch, so that the second dozen of servers differs from the first.
  hatch([inner, outer], from, to, colour) {
    const spacing = 5 / (2 * Math.PI * outer);
    this.context.strokeStyle = colour;
    this.context.lineWidth = 1.5;
    for (let turn = Math.ceil(from / spacing) * spacing; turn < to; turn += spacing) this.tick(turn, inner, outer);
  }

  tick(turn, inner, outer) {
    const [a, b] = [pointAt(turn, inner, this.centre), pointAt(turn, outer, this.centre)];
    this.context.beginPath();
    this.context.moveTo(a.x, a.y);
    this.context.lineTo(b.x, b.y);
    this.context.stroke();
  }

  dot(turn, radius, fill, stroke, size) {
    const { x, y } = pointAt(turn, radius, this.centre);
    this.context.beginPath();
    this.context.arc(x, y, size, 0, 2 * Math.PI);
    this.context.fillStyle = fill;
    this.context.fill();
    this.context.strokeStyle = stroke;
    this.context.lineWidth = 2;
    this.context.stroke();
  }

  // The head of an arrow that runs clockwise.
  arrow(turn, radius, colour) {
    const { x, y } = pointAt(turn, radius, this.centre);
    this.context.save();
    this.context.translate(x, y);
    this.context.rotate(angle(turn) + Math.PI / 2);
    this.context.beginPath();
    this.context.moveTo(1, 0);
    this.context.lineTo(-8, -4.5);
    this.context.lineTo(-8, 4.5);
    this.context.closePath();
    this.context.fillStyle = colour;
    this.context.fill();
    this.context.restore();
  }
}
