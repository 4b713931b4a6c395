#include "sampling.h"

#include "frames.h"
#include "settings.h"

// One writer (the interrupt or the timer's task) and one reader (loop): no lock, only the order of writes.
static const uint8_t RING = 32;  // a power of two; 125 ms at 256 Hz
static Sample ring[RING];
static volatile uint8_t written = 0, taken = 0;

#define KEEP_ORDER() __sync_synchronize()

static inline void keep(uint32_t number, uint32_t time_us, int16_t count, uint8_t flags) {
  if ((uint8_t)(written - taken) >= RING) return;  // lost; the next sample's number will show it
  Sample &sample = ring[written % RING];
  sample.number = number;
  sample.time_us = time_us;
  sample.count = count;
  sample.flags = flags;
  KEEP_ORDER();
  written = written + 1;
}

bool takeSample(Sample *sample) {
  if (written == taken) return false;
  KEEP_ORDER();
  *sample = ring[taken % RING];
  KEEP_ORDER();
  taken = taken + 1;
  return true;
}

static inline uint8_t electrodes() {
  return (digitalRead(LO_PLUS_PIN) ? framed::PLUS_OFF : 0) | (digitalRead(LO_MINUS_PIN) ? framed::MINUS_OFF : 0);
}

#if defined(ESP32)

#include <esp_random.h>
#include <esp_timer.h>

// The calibrated reading is in millivolts at the pin. It is right between 0.15 and 3.1 V only, which is less than
// the amplifier has.
const Converter CONVERTER = {(1000000000UL + AD8232_GAIN / 2) / AD8232_GAIN, AD8232_SUPPLY_MV / 2, 150, 3100};
const char BOARD_NAME[] = "AD8232 ESP32";

static esp_timer_handle_t timer;
static const uint64_t PERIOD_TICKS = 1000000;
static uint64_t due_ticks;  // of the next sample, in 1/FS_HZ of a microsecond, so that no fraction is lost
static uint32_t number = 0;

// Runs in the task of esp_timer, not in an interrupt: reading the converter takes locks.
static void onTimer(void *) {
  uint64_t now_us = esp_timer_get_time();
  while ((due_ticks + PERIOD_TICKS) / FS_HZ <= now_us) {  // this instant is over: lost, and counted
    due_ticks += PERIOD_TICKS;
    number++;
  }
  keep(number++, (uint32_t)now_us, (int16_t)analogReadMilliVolts(ECG_PIN), electrodes());
  due_ticks += PERIOD_TICKS;
  now_us = esp_timer_get_time();
  const uint64_t due_us = due_ticks / FS_HZ;
  esp_timer_start_once(timer, due_us > now_us ? due_us - now_us : 1);
}

void beginSampling() {
  pinMode(LO_PLUS_PIN, INPUT);
  pinMode(LO_MINUS_PIN, INPUT);
  analogReadMilliVolts(ECG_PIN);  // the first reading sets the converter up, which takes its time
  esp_timer_create_args_t how = {};
  how.callback = onTimer;
  how.name = "ecg";
  esp_timer_create(&how, &timer);
  due_ticks = (uint64_t)esp_timer_get_time() * FS_HZ + PERIOD_TICKS;
  esp_timer_start_once(timer, PERIOD_TICKS / FS_HZ);
}

uint8_t nextRunNumber() { return esp_random() & 0xFF; }

#elif defined(__AVR_ATmega328P__) || defined(__AVR_ATmega2560__)

#include <avr/eeprom.h>

// 10 bits over the supply of the board, which is more than that of the amplifier.
constexpr uint32_t countsAt(uint32_t mv) { return (mv * 1024 + REFERENCE_MV / 2) / REFERENCE_MV; }

const Converter CONVERTER = {
    (uint32_t)((REFERENCE_MV * 1000000000ULL + 512ULL * AD8232_GAIN) / (1024ULL * AD8232_GAIN)),
    countsAt(AD8232_SUPPLY_MV / 2),
    countsAt(AD8232_HEADROOM_MV),
    countsAt(AD8232_SUPPLY_MV - AD8232_HEADROOM_MV),
};
const char BOARD_NAME[] = "AD8232 AVR";

// 16 MHz / 62500 = 256 Hz, exactly.
static_assert(F_CPU % FS_HZ == 0 && F_CPU / FS_HZ <= 65536, "timer 1 cannot make this rate exactly");

static uint32_t number = 0;
static uint32_t time_us = 0;

ISR(TIMER1_COMPA_vect) {
  ADCSRA |= _BV(ADSC);  // first, so that the pace is as even as it can be
  time_us = micros();
}

ISR(ADC_vect) {
  keep(number++, time_us, ADC, electrodes());
}

void beginSampling() {
  pinMode(LO_PLUS_PIN, INPUT);
  pinMode(LO_MINUS_PIN, INPUT);
  ADMUX = _BV(REFS0) | ((ECG_PIN - A0) & 0x07);                            // against the supply
  ADCSRA = _BV(ADEN) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0);   // 125 kHz: 0.1 ms a reading
  noInterrupts();
  TCCR1A = 0;
  TCCR1B = _BV(WGM12) | _BV(CS10);  // count to OCR1A, undivided
  TCNT1 = 0;
  OCR1A = F_CPU / FS_HZ - 1;
  TIMSK1 = _BV(OCIE1A);
  interrupts();
}

// The last byte of the EEPROM counts the starts: it bears 100 000 of them.
uint8_t nextRunNumber() {
  uint8_t *const where = (uint8_t *)E2END;
  const uint8_t run = eeprom_read_byte(where) + 1;
  eeprom_write_byte(where, run);
  return run;
}

#else
#error "This sketch knows the Arduino Uno, Nano and Mega and the ESP32; teach sampling.cpp your board."
#endif
