// What you may want to change.
#pragma once

#include <Arduino.h>

#ifndef BAUD
#define BAUD 115200
#endif

const uint16_t FS_HZ = 256;           // edge-ecg's own rate: nothing is resampled
const uint8_t SAMPLES_PER_FRAME = 4;  // one lost frame is 16 ms
const uint16_t INFO_EVERY_MS = 1000;

// The usual AD8232 breakout board: amplifies by 100 in the chip and 11 in its filter, rests at half its supply,
// and comes to within 0.1 V of either end of it.
const uint32_t AD8232_GAIN = 1100;
const uint32_t AD8232_SUPPLY_MV = 3300;
const uint32_t AD8232_HEADROOM_MV = 100;

#if defined(ESP32)
const uint8_t ECG_PIN = A0;        // GPIO 36, on ADC 1: ADC 2 does not work beside Wi-Fi
const uint8_t LO_PLUS_PIN = 33;    // GPIO 10 and 11 hold the flash memory here
const uint8_t LO_MINUS_PIN = 32;
#else
const uint8_t ECG_PIN = A0;
const uint8_t LO_PLUS_PIN = 10;
const uint8_t LO_MINUS_PIN = 11;
const uint32_t REFERENCE_MV = 5000;  // supply of the board: 3300 for a 3.3 V one
#endif
