"""Azure confidential VMs: a vTPM over SEV-SNP or TDX."""
