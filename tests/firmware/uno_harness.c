/* An Uno on simavr with a recording on its A0: what a test needs of the hardware around the chip.
 *
 *   uno_harness ELF SCRIPT OUTPUT LOG
 *
 * SCRIPT, a line each, in order of time; times are cycles of the 16 MHz clock:
 *   mv VALUE              the next conversion finds this on A0; conversions beyond the last find the last
 *   at CYCLE pin N LEVEL  digital pin 10 or 11 changes
 *   at CYCLE send HEX     bytes for the chip's serial port
 *   at CYCLE reset        the reset button
 *   at CYCLE end
 * OUTPUT gets the bytes of the serial port, LOG a line for each conversion ("adc CYCLE MV") and for each byte
 * sent ("tx CYCLE").
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define SUPPLY_MV 5000
#define CLOCK_HZ 16000000

static avr_t *avr;
static FILE *output, *log_file;
static uint32_t *mv;
static size_t mv_count, mv_at;

struct event {
    uint64_t cycle;
    char what[8];
    char rest[64];
};
static struct event *events;
static size_t event_count;

static void on_conversion(struct avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    (void)param;
    union {
        avr_adc_mux_t mux;
        uint32_t v;
    } e = {.v = value};
    if (e.mux.kind != ADC_MUX_SINGLE || e.mux.src != 0) {
        fprintf(stderr, "conversion of another channel\n");
        exit(3);
    }
    uint32_t now_mv = mv[mv_at < mv_count ? mv_at : mv_count - 1];
    mv_at++;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0), now_mv);
    fprintf(log_file, "adc %llu %u\n", (unsigned long long)avr->cycle, now_mv);
}

static void on_byte(struct avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    (void)param;
    fputc(value & 0xFF, output);
    fprintf(log_file, "tx %llu\n", (unsigned long long)avr->cycle);
}

static void quiet_serial_port(void) {
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
}

static int happen(const struct event *event) {
    if (!strcmp(event->what, "end")) return 0;
    if (!strcmp(event->what, "pin")) {
        int pin, level;
        if (sscanf(event->rest, "%d %d", &pin, &level) != 2) exit(3);
        /* Digital pins 8 to 13 are port B's 0 to 5. */
        avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), pin - 8), level);
    } else if (!strcmp(event->what, "send")) {
        unsigned byte;
        for (const char *at = event->rest; sscanf(at, "%2x", &byte) == 1; at += 2)
            avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), byte);
    } else if (!strcmp(event->what, "reset")) {
        avr_reset(avr);
        quiet_serial_port();
    } else {
        fprintf(stderr, "unknown event %s\n", event->what);
        exit(3);
    }
    return 1;
}

static void read_script(const char *path) {
    FILE *script = fopen(path, "r");
    char line[160];
    if (!script) exit(3);
    while (fgets(line, sizeof line, script)) {
        unsigned value;
        unsigned long long cycle;
        struct event event = {0};
        if (sscanf(line, "mv %u", &value) == 1) {
            mv = realloc(mv, (mv_count + 1) * sizeof *mv);
            mv[mv_count++] = value;
        } else if (sscanf(line, "at %llu %7s %63[^\n]", &cycle, event.what, event.rest) >= 2) {
            event.cycle = cycle;
            events = realloc(events, (event_count + 1) * sizeof *events);
            events[event_count++] = event;
        } else {
            fprintf(stderr, "cannot read: %s", line);
            exit(3);
        }
    }
    fclose(script);
}

int main(int argc, char **argv) {
    elf_firmware_t firmware = {0};
    if (argc != 5) return 2;
    read_script(argv[2]);
    output = fopen(argv[3], "wb");
    log_file = fopen(argv[4], "w");
    if (!mv_count || !output || !log_file || elf_read_firmware(argv[1], &firmware)) return 2;
    avr = avr_make_mcu_by_name("atmega328p");
    if (!avr) return 2;
    avr_init(avr);
    firmware.frequency = CLOCK_HZ;
    avr_load_firmware(avr, &firmware);
    avr->frequency = CLOCK_HZ;
    avr->vcc = avr->avcc = avr->aref = SUPPLY_MV;
    avr->log = LOG_ERROR;
    quiet_serial_port();
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), on_conversion, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_byte, NULL);
    for (size_t next = 0; next < event_count;) {
        if (avr->cycle >= events[next].cycle) {
            if (!happen(&events[next++])) break;
            continue;
        }
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) {
            fprintf(stderr, "the chip stopped at cycle %llu\n", (unsigned long long)avr->cycle);
            return 1;
        }
    }
    fclose(output);
    fclose(log_file);
    return 0;
}
