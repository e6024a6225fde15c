// Lets functions without a body be compiled.
