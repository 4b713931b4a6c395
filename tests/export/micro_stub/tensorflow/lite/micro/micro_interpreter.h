// An interpreter that computes nothing: it takes what LiteRT made of each window from the file $OUTPUTS, and
// writes the inputs that it is given to $INPUTS, so that a test can compare both.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "edge_ecg_around.h"

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
struct TfLiteTensor {
  struct {
    int8_t* int8;
  } data;
};

namespace tflite {
class MicroInterpreter {
 public:
  template <typename Resolver>
  MicroInterpreter(const unsigned char* model, const Resolver& resolver, uint8_t* arena, size_t arena_bytes)
      : ready_(reinterpret_cast<uintptr_t>(model) % 16 == 0 && reinterpret_cast<uintptr_t>(arena) % 16 == 0 &&
               resolver.count() == resolver.most() && arena_bytes == EDGE_ECG_ARENA_BYTES) {
    input_.data.int8 = input_bytes_;
    output_.data.int8 = output_bytes_;
  }
  TfLiteStatus AllocateTensors() { return ready_ ? kTfLiteOk : kTfLiteError; }
  TfLiteTensor* input(int) { return &input_; }
  TfLiteTensor* output(int) { return &output_; }
  TfLiteStatus Invoke() {
    static FILE* outputs = std::fopen(std::getenv("OUTPUTS"), "rb");
    static FILE* inputs = std::fopen(std::getenv("INPUTS"), "wb");
    const size_t written = std::fwrite(input_bytes_, 1, sizeof(input_bytes_), inputs);
    std::fflush(inputs);
    const size_t read = std::fread(output_bytes_, 1, sizeof(output_bytes_), outputs);
    return written == sizeof(input_bytes_) && read == sizeof(output_bytes_) ? kTfLiteOk : kTfLiteError;
  }

 private:
  bool ready_;
  int8_t input_bytes_[EDGE_ECG_INPUT_BYTES];
  int8_t output_bytes_[EDGE_ECG_OUTPUT_BYTES];
  TfLiteTensor input_, output_;
};
}  // namespace tflite
