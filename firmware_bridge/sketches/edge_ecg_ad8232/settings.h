// What you may want to change.
#pragma once

#include <Arduino.h>

#ifndef BAUD
#define BAUD 115200
#endif

const uint16_t FS_HZ = 256;           // edge-ecg's own rate: nothing is resampled
const uint8_t SAMPLES_PER_FRAME = 4;  // one lost frame is 16 ms
const uint16_t INFO_EVERY_MS = 1000;
const uint32_t AD8232_GAIN = 1100;    // of the usual breakout board: 100 in the chip, 11 in its filter

#if defined(ESP32)
const uint8_t ECG_PIN = A0;        // GPIO 36, on ADC 1: ADC 2 does not work beside Wi-Fi
const uint8_t LO_PLUS_PIN = 33;    // GPIO 10 and 11 hold the flash memory here
const uint8_t LO_MINUS_PIN = 32;
#else
const uint8_t ECG_PIN = A0;
const uint8_t LO_PLUS_PIN = 10;
const uint8_t LO_MINUS_PIN = 11;
#endif
