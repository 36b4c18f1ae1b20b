// Hands the microphone's samples to the page in blocks of 4,096.

class Recorder extends AudioWorkletProcessor {
  block = new Float32Array(4096);
  filled = 0;

  process([input]) {
    if (!input.length) return true;
    for (let i = 0; i < input[0].length; i++) {
      this.block[this.filled++] = input.reduce((sum, channel) => sum + channel[i], 0) / input.length;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
