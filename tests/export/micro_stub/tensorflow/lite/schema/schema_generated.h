// What the example uses of TFLite's schema: a model is its bytes.
#pragma once
namespace tflite {
using Model = unsigned char;
inline const Model* GetModel(const void* bytes) { return static_cast<const Model*>(bytes); }
}  // namespace tflite
