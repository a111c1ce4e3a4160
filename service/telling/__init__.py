"""What the ledger knows of a prediction, told to a person: in sentences, in spans of time, as a waterfall."""
