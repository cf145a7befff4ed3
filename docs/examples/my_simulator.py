import numpy as np

FJ_PER_STEP = 50  # Walden's figure of merit of the ADCs: energy of a conversion / 2^bits (fJ)
FJ_PER_CELL = 1  # energy of a cell in a read, its share of the DAC included (fJ)
NS_PER_CONVERSION = 1


class OneAdcPerCrossbar:
    """A chip whose columns wait for the only ADC of their crossbar; layers run one after the other."""

    def hardware(self, table, circuit):
        size, adc_bits, dac_bits = (circuit[name][:, None] for name in ("crossbar", "adc_bits", "dac_bits"))
        # Magnitudes of weights in cells of 1 bit, positive and negative ones apart; of inputs bit by bit or two by two.
        columns = 2 * table.c_out * (table.weight_bits - 1)
        reads = table.positions * -((1 - table.input_bits) // dac_bits)
        conversions = reads * columns * -(-table.rows // size)
        energy = conversions * FJ_PER_STEP * 2.0**adc_bits + reads * columns * table.rows * FJ_PER_CELL
        latency = reads * np.minimum(columns, size) * NS_PER_CONVERSION
        in_mj_and_ms = {"energy": 1e-12 * energy, "latency": 1e-6 * latency}
        return {name: np.where(table.weighted, layers, 0).sum(axis=1) for name, layers in in_mj_and_ms.items()}
