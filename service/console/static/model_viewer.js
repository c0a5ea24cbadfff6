// Shows a GLB that hemiface wrote: one mesh with COLOR_0, lit from the camera.

const MAGIC = 0x46546c67;
const VERTEX = `
attribute vec3 place;
attribute vec3 normal;
attribute vec3 colour;
uniform mat4 view;
uniform mat4 projection;
varying vec3 linearColour;
varying vec3 facing;
void main() {
  vec4 seen = view * vec4(place, 1.0);
  facing = (view * vec4(normal, 0.0)).xyz;
  linearColour = colour;
  gl_Position = projection * seen;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 linearColour;
varying vec3 facing;
void main() {
  float light = 0.45 + 0.55 * abs(normalize(facing).z);
  gl_FragColor = vec4(pow(linearColour * light, vec3(1.0 / 2.2)), 1.0);
}`;

// Reads the two chunks, and moves the vertices by the matrix of the node.
function readModel(buffer) {
  const head = new DataView(buffer);
  if (head.getUint32(0, true) !== MAGIC) throw new Error("no GLB");
  const length = head.getUint32(12, true);
  const document = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, length)));
  const start = 28 + length;
  const part = (number, Type, width) => {
    const accessor = document.accessors[number];
    const offset = document.bufferViews[accessor.bufferView].byteOffset;
    return new Type(buffer, start + offset, accessor.count * width);
  };
  const { attributes, indices } = document.meshes[0].primitives[0];
  const places = part(attributes.POSITION, Float32Array, 3);
  const m = document.nodes[0].matrix;
  const moved = new Float32Array(places.length);
  const middle = [0, 0, 0];
  for (let i = 0; i < places.length; i += 3) {
    for (let axis = 0; axis < 3; axis += 1) {
      const sum = m[axis] * places[i] + m[4 + axis] * places[i + 1] + m[8 + axis] * places[i + 2];
      moved[i + axis] = sum;
      middle[axis] += (sum * 3) / places.length;
    }
  }
  let reach = 0;
  for (let i = 0; i < moved.length; i += 3) {
    for (let axis = 0; axis < 3; axis += 1) moved[i + axis] -= middle[axis];
    reach = Math.max(reach, Math.hypot(moved[i], moved[i + 1], moved[i + 2]));
  }
  const triangles = part(indices, Uint32Array, 1);
  return {
    places: moved,
    normals: normalsOf(moved, triangles),
    colours: part(attributes.COLOR_0, Uint16Array, 4),
    triangles,
    reach,
  };
}

function normalsOf(places, triangles) {
  const normals = new Float32Array(places.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const [ux, uy, uz] = [0, 1, 2].map((axis) => places[b + axis] - places[a + axis]);
    const [vx, vy, vz] = [0, 1, 2].map((axis) => places[c + axis] - places[a + axis]);
    const across = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const corner of [a, b, c]) {
      for (let axis = 0; axis < 3; axis += 1) normals[corner + axis] += across[axis];
    }
  }
  for (let i = 0; i < normals.length; i += 3) {
    const size = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
    for (let axis = 0; axis < 3; axis += 1) normals[i + axis] /= size;
  }
  return normals;
}

function compiled(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("shader");
  gl.useProgram(program);
  return program;
}

function uploaded(gl, program, name, values, width, kind, normalized, stride) {
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  const place = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, width, kind, normalized, stride, 0);
}

function viewMatrix(yaw, pitch, distance) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [cy, sp * sy, -cp * sy, 0, 0, cp, sp, 0, sy, -sp * cy, cp * cy, 0, 0, 0, -distance, 1];
}

function projectionMatrix(aspect, near, far) {
  const focal = 1 / Math.tan(Math.PI / 12);
  const depth = near - far;
  return [
    focal / aspect, 0, 0, 0, 0, focal, 0, 0,
    0, 0, (far + near) / depth, -1, 0, 0, (2 * far * near) / depth, 0,
  ];
}

async function show(canvas) {
  const gl = canvas.getContext("webgl2");
  if (gl === null) throw new Error("no WebGL");
  const answer = await fetch(canvas.dataset.model);
  if (!answer.ok) throw new Error(String(answer.status));
  const model = readModel(await answer.arrayBuffer());
  const program = compiled(gl);
  uploaded(gl, program, "place", model.places, 3, gl.FLOAT, false, 0);
  uploaded(gl, program, "normal", model.normals, 3, gl.FLOAT, false, 0);
  uploaded(gl, program, "colour", model.colours, 3, gl.UNSIGNED_SHORT, true, 8);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, model.triangles, gl.STATIC_DRAW);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(1, 1, 1, 1);
  const seen = { yaw: 0, pitch: 0, distance: 4 * model.reach };
  const draw = () => {
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const view = viewMatrix(seen.yaw, seen.pitch, seen.distance);
    const near = Math.max(seen.distance - 1.5 * model.reach, 0.05 * model.reach);
    const projection = projectionMatrix(
      canvas.width / canvas.height, near, seen.distance + 1.5 * model.reach,
    );
    gl.uniformMatrix4fv(gl.getUniformLocation(program, "view"), false, view);
    gl.uniformMatrix4fv(gl.getUniformLocation(program, "projection"), false, projection);
    gl.drawElements(gl.TRIANGLES, model.triangles.length, gl.UNSIGNED_INT, 0);
  };
  const turn = (across, down) => {
    seen.yaw += across;
    seen.pitch = Math.max(-1.5, Math.min(1.5, seen.pitch + down));
    draw();
  };
  const approach = (factor) => {
    seen.distance = Math.max(1.2, Math.min(10, (seen.distance / model.reach) * factor)) * model.reach;
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) turn(event.movementX / 150, event.movementY / 150);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    approach(Math.exp(event.deltaY / 800));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (step[event.key]) {
      event.preventDefault();
      turn(...step[event.key]);
    }
  });
  draw();
}

for (const canvas of document.querySelectorAll("canvas.model")) {
  show(canvas).catch(() => {
    canvas.hidden = true;
  });
}
