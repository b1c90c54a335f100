"""Small-baseline InSAR time series: from a folder of interferograms to deformation layers."""
