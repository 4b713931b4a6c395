// Taking samples at an even pace and keeping them until loop() has time: the part that differs by board.
#pragma once

#include <Arduino.h>

struct Sample {
  uint32_t number;   // counts sampling instants since power-up, also those that were lost
  uint32_t time_us;  // micros() when it was taken
  int16_t count;
  uint8_t flags;     // framed::Flag
};

// What turns counts into millivolts, and where the converter ends.
struct Converter {
  uint32_t pv_per_count;
  int32_t zero, low, high;
};

extern const Converter CONVERTER;
extern const char BOARD_NAME[];

void beginSampling();
bool takeSample(Sample *sample);  // false when none waits
uint8_t nextRunNumber();          // another one at every start
