-- revision: moves whenever any message changes its state.
SELECT n FROM counts WHERE name = 'revision';
