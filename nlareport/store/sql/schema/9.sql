-- Results and checkpoints made elsewhere.

-- How scores were defined where they come from.

-- Sources that only write, targets that only read.

-- Draws: spread, best of k, agreement of texts.

-- Tags: differences between their values.

-- Signs of sick text, and words of the context.

-- Chosen positions and given vectors.
